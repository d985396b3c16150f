"""How values look: colours from a value on, words for numbers, names and lines of series."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.models import dashboard as model

DOWN = "service is down"
NO_SAMPLES = "no samples yet"
Steps = Sequence[tuple[float | None, str]]
Named = Sequence[tuple[str, str]]
"""Values by name with their colours, in order."""
Defaults = model.FieldConfig

USED: Steps = ((None, "green"), (0.8, "orange"), (0.95, "red"))
AT_RESET: Steps = ((None, "green"), (0.85, "orange"), (1.0, "red"))
CHANCE: Steps = ((None, "green"), (0.2, "orange"), (0.5, "red"))
ANY: Steps = ((None, "green"), (1, "red"))
BURN: Steps = ((None, "green"), (1, "red"))
NOTHING_LEFT = {1000: ("nothing left", "red")}
"""Where the burn of what is left stops."""
TIME_LEFT: Steps = ((None, "red"), (3600, "orange"), (86400, "yellow"))
"""Seconds until something runs out: an hour, a day."""
SITTING: Steps = ((None, "green"), (60, "yellow"), (600, "red"))
"""Seconds that somebody who sits and waits has waited."""
SOME: Steps = ((None, "green"), (1, "yellow"))
PLAIN: Steps = ((None, "blue"),)
LEAST_RUNS: Steps = ((None, "red"), (1, "orange"), (10, "green"))
RUN_SIZE: Steps = ((None, "green"), (3e6, "orange"), (5e6, "red"))
HIT: Steps = ((None, "red"), (0.7, "orange"), (0.9, "green"))

CLASSES = {"interactive": "purple", "high": "blue", "normal": "green", "low": "yellow"}
DECISIONS = {"admit": "green", "defer": "yellow", "reject": "red"}
KINDS = {
    "input": ("blue", "input"),
    "cache_read": ("green", "read from the cache"),
    "cache_write_5m": ("yellow", "written to the cache, 5 min"),
    "cache_write_1h": ("orange", "written to the cache, 1 h"),
    "output": ("purple", "output"),
}


def thresholds(steps: Steps) -> model.ThresholdsConfig:
    """Colours from a value on."""
    return model.ThresholdsConfig(
        mode=model.ThresholdsMode.ABSOLUTE, steps=[model.Threshold(value, color) for value, color in steps]
    )


def look(
    unit: str,
    steps: Steps = PLAIN,
    *,
    empty: str = DOWN,
    values: Named = (),
    words: Mapping[int, tuple[str, str]] | None = None,
    **more: Any,
) -> Defaults:
    """How a panel's values look; ``empty`` is what stands there without any, ``values`` name the numbers 0, 1, …

    ``words`` are texts and colours for single numbers, such as that of ``queries.otherwise``.
    """
    return Defaults(
        unit=unit,
        thresholds=thresholds(steps or steps_of(values)),
        color=model.FieldColor(mode=model.FieldColorModeId.THRESHOLDS),
        mappings=said(dict(enumerate(values)) | (dict(words) if words else {})),
        no_value=empty,
        **more,
    )


def named(values: Named) -> list[Any]:
    """Names and colours for the numbers 0, 1, … of ``queries.numbered``."""
    return said(dict(enumerate(values)))


def said(words: Mapping[int, tuple[str, str]] | Mapping[str, tuple[str, str]]) -> list[Any]:
    """Texts and colours that stand for numbers or other texts."""
    options = {
        str(value): model.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(words.items())
    }
    return [model.ValueMap(options=options)] if options else []


def or_down(fields: Defaults) -> Defaults:
    """Nothing at all is an alarm: the text for no value would take the colour of the lowest threshold, often green."""
    absent = model.ValueMappingResult(text=DOWN, color="red")
    special = model.DashboardSpecialValueMapOptions(match=model.SpecialValueMatch.NULL, result=absent)
    fields.no_value = DOWN
    fields.mappings = [*(fields.mappings or ()), model.SpecialValueMap(options=special)]
    return fields


def steps_of(values: Named) -> Steps:
    """The same colours as thresholds."""
    return [(n or None, color) for n, (_, color) in enumerate(values)]


def by_name(name: str, **properties: Any) -> model.DashboardFieldConfigSourceOverrides:
    """How one column or series looks; ``custom__width`` stands for ``custom.width``."""
    return _override("byName", name, properties)


def by_pattern(pattern: str, **properties: Any) -> model.DashboardFieldConfigSourceOverrides:
    """How all series look whose name matches."""
    return _override("byRegexp", pattern, properties)


def _override(kind: str, which: str, properties: Mapping[str, Any]) -> model.DashboardFieldConfigSourceOverrides:
    values = [model.DynamicConfigValue(name.replace("__", "."), value) for name, value in properties.items()]
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val=kind, options=which), properties=values
    )


def coloured(colors: Mapping[str, str]) -> list[model.DashboardFieldConfigSourceOverrides]:
    """The same colour for the same name, wherever it begins a series' name."""
    return [by_pattern(f"/^{name}\\b/", color=fixed(color)) for name, color in colors.items()]


def renamed(looks: Mapping[str, tuple[str, str]]) -> list[model.DashboardFieldConfigSourceOverrides]:
    """A colour and a name for people, for series that are called as a label's value is."""
    return [by_name(name, color=fixed(color), displayName=text) for name, (color, text) in looks.items()]


def fixed(color: str) -> dict[str, str]:
    """One colour, whatever the value."""
    return {"mode": "fixed", "fixedColor": color}


def dashed(color: str) -> dict[str, Any]:
    """A thin dashed line to compare with."""
    style = {"fill": "dash", "dash": [8, 6]}
    return {"color": fixed(color), "custom__lineStyle": style, "custom__lineWidth": 1, "custom__fillOpacity": 0}


def fan() -> list[model.DashboardFieldConfigSourceOverrides]:
    """A band from low to high around the expected line."""
    edge = {"color": fixed("light-blue"), "custom__lineWidth": 1}
    return [
        by_name("high", **edge, custom__fillBelowTo="low", custom__fillOpacity=25),
        by_name("low", **edge, custom__fillOpacity=0),
        by_name("expected", color=fixed("blue"), custom__lineWidth=2),
        by_name("used so far", color=fixed("text"), custom__lineWidth=2),
    ]
