"""Make the pictures of the page anew: ``.venv/bin/python scripts/page_pictures.py [FOLDER]``.

Shows a service that has something of everything (``tests/page/rich.py``), then one with two hundred limits and ten
thousand waiting (``benchmarks/bench_page.py``). Needs Debian's ``chromium`` and the Python package
``playwright``; takes two or three minutes.
"""

import contextlib
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from playwright.sync_api import sync_playwright

from benchmarks.bench_page import served
from tests.page.rich import rich_in

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
WIDE, PHONE = {"width": 1200, "height": 750}, {"width": 390, "height": 844}


def opened(browser: Any, url: str, **options: Any) -> Any:
    """The page, when its figures and what is looked at less often stand there."""
    page = browser.new_page(**{"viewport": WIDE, "color_scheme": "light", **options})
    page.goto(url)
    page.wait_for_selector("#costs")
    page.wait_for_timeout(500)
    return page


def of_everything(browser: Any, folder: Path) -> None:
    """Light, dark, on a phone, one limit, and what it looks like when the service is gone."""
    with tempfile.TemporaryDirectory() as home, rich_in(Path(home)) as service:
        for name, options in {
            "light": {},
            "dark": {"color_scheme": "dark"},
            "phone": {"viewport": PHONE},
        }.items():
            page = opened(browser, f"{service.url}/", **options)
            page.screenshot(path=folder / f"page-{name}.png")
            page.close()
        page = opened(browser, f"{service.url}/")
        page.locator("#limits .open", has_text="weekly").first.click()
        page.locator("dialog .fan.large").wait_for()
        page.locator("dialog").screenshot(path=folder / "page-limit.png")
        page.keyboard.press("Escape")
        page.context.set_offline(True)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_selector("body.stale")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / "page-dead.png")
        page.close()


def of_many(browser: Any, folder: Path) -> None:
    """Two hundred limits, and ten thousand waiting."""
    with served(200, 10_000) as service:
        page = opened(browser, f"http://127.0.0.1:{service.port}/")
        page.screenshot(path=folder / "page-many.png")
        page.close()


def main() -> None:
    """Look at both, and photograph them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        of_everything(browser, folder)
        of_many(browser, folder)
        browser.close()
    for path in folder.glob("page-*.png"):
        made_small(path)


def made_small(path: Path) -> None:
    """Give a picture 256 colours: a third of its bytes, and nobody sees it. Left as it is without Pillow."""
    with contextlib.suppress(ImportError):
        image = importlib.import_module("PIL.Image")
        image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
