"""The items of a JSON body that is read as a stream: an array's, one value a line, or one value alone.

    chunks ──feed──► whole items (bytes) ──► whoever decodes them; what is not whole yet is all that is kept

What a body is shows its first sign: ``[`` begins an array, anything else values one behind the other, since what
senders declare is not to be relied on. Only quotation marks and brackets are looked at: an item is decoded once.
"""

import re
from collections.abc import Iterator

from quota_scheduler.sources.records import BadLine

LARGEST_ITEM = 64 * 1024 * 1024
"""A longer item is passed over: a conversation of a million tokens is a tenth of it."""
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_LAID_OUT = re.compile(rb"\{[ \t]*\r?\n")
"""A value that goes on in the next line was laid out for people: its brackets tell where it ends."""
_QUOTE, _BACKSLASH = 0x22, 0x5C
_OPENING = b"{["
_BLANK = b" \t\r\n,"


class JsonItems:
    """Cuts one body into items. ``number`` is how many have begun so far, whole or not."""

    def __init__(self) -> None:
        self.number = 0
        self.refused: list[str] = []
        self._kept = bytearray()
        self._at = 0
        self._depth = 0
        self._in_text = False
        self._is_array: bool | None = None
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Take more of the body; yields the items that it completes, with their numbers."""
        self._kept += chunk
        if self._is_array is None and not self._begin():
            return
        yield from self._lines() if not self._is_array else self._elements()
        if len(self._kept) > LARGEST_ITEM and not self._too_long:
            self._too_long = True
            self.refused.append(f"item {self.number}: it is longer than {LARGEST_ITEM >> 20} MB")
        if self._too_long:
            del self._kept[: self._at]
            self._at = 0

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The body has ended: yields a last line without a line break, and notes an array that has not ended."""
        if self._is_array:
            if self._depth:
                self.refused.append(f"item {self.number}: the body ends in the middle of it")
        elif line := bytes(self._kept).strip():
            if not self._too_long:
                yield self.number, line
            self.number += 1

    def _begin(self) -> bool:
        """Whether the first sign is there; it says what the body is."""
        begun = self._kept.lstrip(b" \t\r\n\xef\xbb\xbf")
        if not begun:
            return False
        if begun[:1] == b"{" and not begun[1:].strip(b" \t\r"):
            return False  # whether the first value goes on in the next line shows there
        is_array = begun[:1] == b"["
        self._kept = begun[1:] if is_array else begun
        self._is_array = is_array or bool(_LAID_OUT.match(begun))
        return True

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Every line that has ended: within a value a line break is always written as a sign of its own."""
        start = 0
        while (stop := self._kept.find(b"\n", max(start, self._at))) >= 0:
            line = bytes(self._kept[start:stop]).strip()
            start = self._at = stop + 1
            if line or self._too_long:
                if not self._too_long:
                    yield self.number, line
                self._too_long = False
                self.number += 1
        del self._kept[:start]
        self._at = len(self._kept)

    def _elements(self) -> Iterator[tuple[int, bytes]]:
        """Every element that has ended, by the depth of its brackets outside of texts."""
        kept, at, start = self._kept, self._at, 0
        while True:
            mark = (_INSIDE if self._in_text else _OUTSIDE).search(kept, at)
            if mark is None:
                self._at = len(kept)
                break
            sign, at = kept[mark.start()], mark.end()
            if self._in_text:
                if sign == _BACKSLASH:
                    if at >= len(kept):  # what it stands before is still to come
                        self._at = mark.start()
                        break
                    at += 1
                else:
                    self._in_text = False
            elif sign == _QUOTE:
                self._in_text = True
            elif sign in _OPENING:
                if not self._depth:
                    self._odd(kept, start, mark.start())
                    start = mark.start()
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if not self._depth:
                    if not self._too_long:
                        yield self.number, bytes(kept[start:at])
                    self._too_long, start = False, at
                    self.number += 1
            else:
                self._odd(kept, start, mark.start())
                start = at
            self._at = at
        del kept[:start]
        self._at -= start

    def _odd(self, kept: bytearray, start: int, stop: int) -> None:
        """Note what stands between items and is none: numbers, texts, words."""
        between = bytes(kept[start:stop]).strip(_BLANK)
        if between:
            self.refused.append(f"item {self.number}: it is no object")
            self.number += 1


def items_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of a body that is there as a whole. Raises BadLine where something is left over."""
    cut = JsonItems()
    yield from cut.feed(body)
    yield from cut.end()
    if cut.refused:
        raise BadLine(cut.refused[0])
