"""Answers of a real service with a hostile text in every place that somebody else may fill: what passed every door."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

SIGNS = "\u202e\x1b[31m\x00\u2028"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>&amp;\"'`${1+1}"
LENGTH = 500
"""Letters of each text: more than any door lets in."""
Document = dict[str, Any]


def hostile(place: str) -> str:
    """Markup, signs that do something, and 500 letters without a gap; ``place`` begins it, so that it can be sought."""
    return f"{place} {MARKUP}{SIGNS}".ljust(LENGTH, "w")


def shown(place: str) -> str:
    """The same as the page is to show it: what would do something is written out."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in hostile(place))


def fill(document: Any, path: str, place: str) -> list[str]:
    """Put hostile texts where a path leads: names, and ``*`` for each row. Returns with what each of them begins."""
    name, _, deeper = path.partition(".")
    if name != "*":
        rows = [(name, place)] if document.get(name) is not None else []
    else:
        names = range(len(document)) if isinstance(document, list) else list(document)
        rows = [(one, f"{place} {number}") for number, one in enumerate(names)]
    if deeper:
        return [begin for one, label in rows if document[one] for begin in fill(document[one], deeper, label)]
    for one, label in rows:
        document[one] = hostile(label)
    return [label for _, label in rows]


@dataclass
class Filled:
    """What a browser gets in place of the service's answers.

    ``places`` are names and paths by the path of the answer; ``complete`` adds what the service has nothing of.
    """

    places: Mapping[str, Mapping[str, str]]
    complete: Callable[[str, Document], None]
    begins: dict[str, list[str]] = field(default_factory=dict)

    def into(self, page: Any) -> None:
        """Let a page see it; nothing comes with the page itself, so that all comes through the answers."""
        page.add_init_script("window.alert = () => { window.alerted = true; }")
        for answer in self.places:
            page.route(re.compile(rf"{answer}(\?.*)?$"), self._answer)
        page.route(re.compile("//[^/]+/$"), self._bare)

    def _answer(self, route: Any) -> None:
        answer = route.fetch()
        document, path = json.loads(answer.text()), urlsplit(route.request.url).path
        self.complete(path, document)
        for name, where in self.places[path].items():
            self.begins[name] = fill(document, where, name)
        route.fulfill(response=answer, body=json.dumps(document))

    def _bare(self, route: Any) -> None:
        answer = route.fetch()
        before, _, after = answer.text().partition('<script type="application/json" id="first">')
        route.fulfill(response=answer, body=before + after.partition("</script>")[2])
