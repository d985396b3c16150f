"""Lines: the snapshot's samples, of which only what changed since the last tick is written anew.

    samples of this tick ──► line known and value the same? ──► the line of the last tick
                                                    else    ──► its beginning, known by now, and the new value

How a line begins and how a family is announced, prometheus_client writes, once per series and format; between ticks
nothing but numbers changes. Both formats have the same lines, they differ in what stands above them.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.utils import floatToGoString

from quota_scheduler.metrics.exposition import Format, MetricFamilies, encode
from quota_scheduler.metrics.table import BY_NAME, Family

Labels = tuple[str, ...]
Samples = Sequence[tuple[Labels, float]]


class _Line:
    """One series: how its line begins, and the line as it was last written."""

    __slots__ = ("begins", "text", "value")

    def __init__(self, begins: str) -> None:
        self.begins, self.text = begins, ""
        self.value: float | None = None

    def at(self, value: float) -> str:
        """The line with this value."""
        if value != self.value:  # a value that is not a number never equals itself: it is written every time
            self.value = value
            self.text = f"{self.begins}{floatToGoString(value)}\n"  # type: ignore[no-untyped-call]
        return self.text


class Lines:
    """Remembers the lines of every series that was shown last."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[Labels, _Line]] = {}
        self._heads: dict[tuple[str, Format], str] = {}

    def body(self, name: str, samples: Samples) -> str:
        """The lines of one family."""
        before, shown = self._lines.get(name, {}), {}
        written = []
        for labels, value in samples:
            line = before.get(labels) or _Line(_begins(BY_NAME[name], labels))
            shown[labels] = line
            written.append(line.at(value))
        self._lines[name] = shown
        return "".join(written)

    def head(self, name: str, form: Format) -> str:
        """What announces a family in a format."""
        text = self._heads.get((name, form))
        if text is None:
            text = self._heads[name, form] = encode(MetricFamilies((_family(BY_NAME[name], ()),)), form).decode()
        return text

    def forget(self, names: Iterable[str]) -> None:
        """Keep nothing of families that are not shown any more."""
        for name in names:
            self._lines.pop(name, None)


class Written(Struct, frozen=True):
    """The families of one snapshot: their samples, and their lines as written once."""

    samples: Mapping[str, Samples]
    bodies: Mapping[str, str]
    lines: Lines

    def collect(self) -> Iterable[Metric]:
        """The families as the client library has them."""
        return [_family(BY_NAME[name], samples) for name, samples in self.samples.items()]

    def encoded(self, form: Format) -> bytes:
        """All families in one format, without the end mark."""
        return "".join(self.lines.head(name, form) + body for name, body in self.bodies.items()).encode()


def written(samples: Mapping[str, Samples], lines: Lines) -> Written:
    """Write the lines of one snapshot; ``samples`` by name, in the order in which they are shown."""
    lines.forget(BY_NAME.keys() - samples.keys())
    return Written(samples, {name: lines.body(name, of_family) for name, of_family in samples.items()}, lines)


def _begins(family: Family, labels: Labels) -> str:
    """How the line of a series begins, up to its value."""
    text = encode(MetricFamilies((_family(family, [(labels, 0.0)]),)), Format.TEXT).decode()
    return text.rstrip("\n").rsplit("\n", 1)[-1].removesuffix("0.0")


def _family(family: Family, samples: Samples) -> GaugeMetricFamily | CounterMetricFamily:
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.documentation, labels=family.labels)
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric
