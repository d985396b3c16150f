"""What a person does with the page in a real browser, and what they see."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
"""How long anything may take on a busy machine."""
EXPECTED = (
    "ERR_INTERNET_DISCONNECTED",
    "401",
    "403",
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_CONNECTION_RESET",
    "422",
    "ERR_FAILED",
    "ERR_INTERNET_DISCONNECTED",
    "503",
    "ERR_EMPTY_RESPONSE",
)
"""What a browser logs by itself of answers that the page has a sentence for."""


@dataclass
class Looked:
    """The page as it stands; ``complaints`` are errors of its scripts and what its policy kept out."""

    page: Any
    context: Any
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What stands somewhere."""
        return str(self.page.inner_text(selector))

    def sees(self, text: str, within: str = "body") -> None:
        """Wait until some text stands there."""
        self.page.locator(within).filter(has_text=text).first.wait_for(timeout=PATIENCE_MS)

    def misses(self, text: str, within: str = "body") -> None:
        """Wait until some text does not stand there any more."""
        self.page.locator(within).filter(has_text=text).first.wait_for(state="detached", timeout=PATIENCE_MS)

    def press(self, name: str, within: str = "body") -> None:
        """Press a button by what it says."""
        self.page.locator(within).get_by_role("button", name=name).first.click(timeout=PATIENCE_MS)

    def close(self) -> None:
        """Leave."""
        self.context.close()


def opened(
    browser: Any,
    url: str,
    *,
    wait_for: str = ".answer",
    before: Callable[[Any], None] = lambda _: None,
    **options: Any,
) -> Looked:
    """Open the page; ``before`` prepares it, ``options`` are of the browser's context."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(PATIENCE_MS)
    looked = Looked(context.new_page(), context)
    looked.page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    looked.page.on("console", lambda message: _complain(looked, message))
    looked.page.on("request", lambda request: looked.asked.append(request.url))
    before(looked.page)
    looked.page.goto(f"{url}/")
    looked.page.wait_for_selector(wait_for)
    return looked


def _complain(looked: Looked, message: Any) -> None:
    if message.type == "error" and not any(known in message.text for known in EXPECTED):
        looked.complaints.append(message.text)
