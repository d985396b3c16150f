"""numpy, which is loaded with the first number that is asked of it, and the kinds of arrays that forecasts are made of.

It takes 40 to 90 ms of the processor: nobody waits for it who only wants an answer, and the first tick forecasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Truths = NDArray[np.bool_]
else:

    class _Numpy:
        """Stands where the module would, and is as quick: what was asked for once stays with it."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            member = getattr(numpy, name)
            setattr(self, name, member)
            return member

    np = _Numpy()

__all__ = ["Array", "Integers", "Truths", "np"]
