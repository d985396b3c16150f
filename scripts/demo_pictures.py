"""Make the six pictures of the demo anew: ``.venv/bin/python scripts/demo_pictures.py [FOLDER]``.

Plays the demo, watches what it tells, and photographs the page at each of six moments, in docs/pictures/ unless
another folder is named. Needs Debian's ``chromium`` and the Python package ``playwright``; takes two or three minutes.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import FloatRect, Page, sync_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
VIEW = {"width": 1180, "height": 1500}
"""So high that nothing has to be scrolled: what is outside may not have been drawn yet."""
SECONDS = 180
"""How long the demo may play: three times what its story takes."""
FRESH_SECONDS = 1.0
"""What was told longer ago is over by the time it would be photographed."""
MOST_BYTES = 120_000
"""Of a picture, so that the first page of the documentation stays light."""


@dataclass(frozen=True)
class Moment:
    """A picture: of what part of the page, when what the demo tells fits, made ready by a person's hands."""

    name: str
    fits: Callable[[dict[str, Any]], bool]
    part: str
    ready: Callable[[Page], None] = lambda _page: None


def look_closer(page: Page) -> None:
    """Open the session window, and wait for its fan."""
    page.locator("#limits .open", has_text="session").first.click()
    page.locator("dialog .fan.large").wait_for()


MOMENTS = (
    Moment("1-usage", lambda told: told["kind"] == "usage" and told["used"] >= told["amount"] / 2, "#limits"),
    Moment("2-fan", lambda told: told["kind"] == "fan", "dialog", look_closer),
    Moment("3-waits", lambda told: told["kind"] == "usage" and told["used"] >= told["amount"] * 0.75, "#queue"),
    Moment("4-alert", lambda told: told["kind"] == "alert_fired", "#answers"),
    Moment("5-reset", lambda told: told["kind"] == "woken", "#alerts, #running"),
    Moment("6-loan", lambda told: told["kind"] == "loan", "#limits"),
)


def told_by(demo: subprocess.Popen[str], into: list[dict[str, Any]]) -> None:
    """Note what the demo tells, with when it was heard."""
    assert demo.stdout is not None
    for line in demo.stdout:
        into.append({**json.loads(line), "heard": time.monotonic()})


def address(demo: subprocess.Popen[str]) -> str:
    """The first address that the demo prints."""
    assert demo.stderr is not None
    for line in demo.stderr:
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip("/,.")
    raise SystemExit("the demo printed no address: run quota-scheduler demo and see why")


def photograph(page: Page, part: str, target: Path) -> None:
    """Save what stands between the first and the last of some parts; again where it moved meanwhile."""
    page.evaluate("document.activeElement.blur()")
    clip = _place(page, part)
    for _ in range(5):
        page.screenshot(path=target, clip=clip)
        before, clip = clip, _place(page, part)
        if clip == before:
            break
    if target.stat().st_size > MOST_BYTES:
        raise SystemExit(
            f"{target.name} has {target.stat().st_size:,} bytes, more than {MOST_BYTES:,}: show less of it"
        )


def _place(page: Page, part: str) -> FloatRect:
    boxes = [box for box in (one.bounding_box() for one in page.locator(part).all()) if box]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right, bottom = max(box["x"] + box["width"] for box in boxes), max(box["y"] + box["height"] for box in boxes)
    return {"x": max(0, left - 8), "y": max(0, top - 8), "width": right - left + 16, "height": bottom - top + 16}


def main() -> None:
    """Play, watch, photograph."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-m", "quota_scheduler", "demo", "--json", "--seconds", str(SECONDS)]
    demo = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told: list[dict[str, Any]] = []
        url = address(demo)
        threading.Thread(target=told_by, args=(demo, told), daemon=True).start()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport=VIEW, color_scheme="light")
            page.goto(f"{url}/")
            page.wait_for_selector(".answer")
            missing = _all_moments(page, told, folder)
            browser.close()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(30)
    if missing:
        raise SystemExit(f"the demo did not come to {', '.join(missing)}: try again when the machine has less to do")


def _all_moments(page: Page, told: list[dict[str, Any]], folder: Path) -> list[str]:
    """Photograph whatever has just happened until there are all of them, or the demo ends: the names of the rest."""
    missing = {moment.name: moment for moment in MOMENTS}
    seen, ends = 0, time.monotonic() + SECONDS - 5
    while missing and time.monotonic() < ends:
        page.wait_for_timeout(50)
        for one in told[seen:]:
            seen += 1
            moment = next((moment for moment in missing.values() if moment.fits(one)), None)
            if moment is None or time.monotonic() - one["heard"] > FRESH_SECONDS:
                continue
            page.wait_for_timeout(400)  # what the demo was told a moment ago is on its way to the page, too
            moment.ready(page)
            photograph(page, moment.part, folder / f"demo-{moment.name}.png")
            page.keyboard.press("Escape")
            del missing[moment.name]
    return sorted(missing)


if __name__ == "__main__":
    main()
