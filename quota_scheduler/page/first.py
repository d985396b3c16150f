"""The page with what it shows first, in two pieces: the browser fetches its files while the figures are still made.

What is shown stands in a block of data, which no policy lets run; a ``<`` in it is written so that nothing in a label
can end the block.
"""

import zlib

END = b"</body>"
GZIP = 16 + zlib.MAX_WBITS
"""Of ``zlib``: with the head and the tail of gzip."""


class FirstAnswer:
    """One page, split where the figures go."""

    def __init__(self, page: bytes, *, level: int) -> None:
        before, _, after = page.rpartition(END)
        self.head, self._tail = before, END + after
        self._packing = zlib.compressobj(level, zlib.DEFLATED, GZIP)
        self.packed_head = self._packing.compress(before) + self._packing.flush(zlib.Z_SYNC_FLUSH)

    def rest(self, shown: bytes) -> bytes:
        """What follows the head; ``shown`` is JSON, or nothing where the page has to ask."""
        if not shown:
            return self._tail
        return (
            b'<script type="application/json" id="first">' + shown.replace(b"<", b"\\u003c") + b"</script>" + self._tail
        )

    def packed_rest(self, shown: bytes) -> bytes:
        """The same as the end of what ``packed_head`` began."""
        packing = self._packing.copy()
        return packing.compress(self.rest(shown)) + packing.flush()
