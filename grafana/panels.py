"""The parts that dashboards are made of, as values of the SDK's model: targets, panels, links, variables, marks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.models import bargauge, common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

from grafana.looks import PLAIN, Defaults, Named, by_name, by_pattern, look, or_down, steps_of

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE = 12


def target(expr: str, legend: str = "", *, table: bool = False, instant: bool = False) -> Dataquery:
    """One query; its letter follows from its place in the panel."""
    now = table or instant
    return Dataquery(
        datasource=DATASOURCE,
        editor_mode=QueryEditorMode.CODE,
        expr=expr,
        format_val=PromQueryFormat.TABLE if table else PromQueryFormat.TIME_SERIES,
        instant=now,
        range_val=not now,
        legend_format=legend or "__auto",
    )


def lettered(targets: Sequence[Dataquery]) -> list[Any]:
    """The targets with their letters."""
    for letter, each in zip("ABCDEFGHIJKLMNOP", targets, strict=False):
        each.ref_id = letter
    return list(targets)


def panel(
    kind: str, title: str, text: str, size: tuple[int, int], targets: Sequence[Dataquery], fields: Defaults, **more: Any
) -> model.Panel:
    """One panel; its place and id follow from the order on the dashboard."""
    return model.Panel(
        type_val=kind,
        title=title,
        description=text,
        datasource=DATASOURCE,
        grid_pos=model.GridPos(w=size[0], h=size[1]),
        targets=lettered(targets),
        field_config=model.FieldConfigSource(defaults=fields, overrides=more.pop("overrides", [])),
        **more,
    )


def number(
    title: str,
    text: str,
    expr: str,
    fields: Defaults,
    *,
    width: int = 3,
    height: int = 4,
    legend: str = "",
    by_name: bool = False,
    further: Sequence[tuple[str, str]] = (),
    overrides: Sequence[Any] = (),
    leads_to: Mapping[str, str] | None = None,
) -> model.Panel:
    """One number, ``by_name`` with the name of whom it is about; ``further`` queries, with names, stand beside it, and
    all of its values in a row.

    Its query finds something whenever the service answers; where there is nothing, the service is down.
    """
    modes = common.BigValueTextMode
    mode = modes.VALUE_AND_NAME if by_name else modes.VALUE
    options = stat.Options(
        color_mode=common.BigValueColorMode.VALUE,
        graph_mode=common.BigValueGraphMode.NONE,
        justify_mode=common.BigValueJustifyMode.CENTER,
        text_mode=mode,
        reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields=""),
        orientation=common.VizOrientation.VERTICAL if further else common.VizOrientation.AUTO,
    )
    targets = [target(expr, legend, instant=True), *(target(*each, instant=True) for each in further)]
    size, looks = (width, height), [*overrides]
    if leads_to:
        looks.append(by_pattern("/./", links=[leads_to]))  # the SDK takes links of a panel's own for a dashboard's
    return panel("stat", title, text, size, targets, or_down(fields), options=options, overrides=looks)


def series(
    title: str,
    text: str,
    width: int,
    targets: Sequence[Dataquery],
    fields: Defaults,
    *,
    overrides: Sequence[Any] = (),
    marks: bool = False,
    bars: bool = False,
    stacked: bool = False,
    fill: int = 0,
    soft_min: float | None = None,
    soft_max: float | None = None,
    height: int = 9,
) -> model.Panel:
    """Lines over time, or bars; ``marks`` draws the thresholds as dashed lines."""
    if fields.unit == "percentunit":
        fields.decimals = 1  # of the ratio, on the axis: with 0 it would show nothing between 0 % and 100 %
    style = common.GraphThresholdsStyleMode.DASHED if marks else common.GraphThresholdsStyleMode.OFF
    stack = common.StackingConfig(mode=common.StackingMode.NORMAL, group="A") if stacked else None
    fields.color = model.FieldColor(mode=model.FieldColorModeId.PALETTE_CLASSIC)
    fields.custom = timeseries.FieldConfig(
        draw_style=common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE,
        line_width=0 if bars else 2,
        fill_opacity=80 if bars else fill,
        show_points=common.VisibilityMode.AUTO,
        point_size=4,
        span_nulls=False,
        axis_soft_min=soft_min,
        axis_soft_max=soft_max,
        thresholds_style=common.GraphThresholdsStyleConfig(mode=style),
        stacking=stack,
    )
    options = timeseries.Options(
        legend=_legend(wide=width >= WIDE),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )
    size = (width, height)
    return panel("timeseries", title, text, size, targets, fields, options=options, overrides=list(overrides))


def _legend(*, wide: bool) -> common.VizLegendOptions:
    """Beside a wide panel all names with their latest values have room; below a narrow one only the names."""
    return common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.TABLE if wide else common.LegendDisplayMode.LIST,
        placement=common.LegendPlacement.RIGHT if wide else common.LegendPlacement.BOTTOM,
        show_legend=True,
        calcs=["lastNotNull"] if wide else [],
    )


def bars(
    title: str, text: str, width: int, expr: str, legend: str, fields: Defaults, *, height: int = 9
) -> model.Panel:
    """One horizontal bar for each series, as of now; without any the service is down, as in ``number``."""
    options = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        value_mode=common.BarGaugeValueMode.COLOR,
        name_placement=common.BarGaugeNamePlacement.LEFT,
        show_unfilled=True,
        orientation=common.VizOrientation.HORIZONTAL,
        max_viz_height=28,
        reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields=""),
    )
    targets = [target(expr, legend, instant=True)]
    return panel("bargauge", title, text, (width, height), targets, or_down(fields), options=options)


def timeline(
    title: str, text: str, width: int, expr: str, values: Named, *, empty: str, height: int = 10
) -> model.Panel:
    """States over time, one row per limit."""
    fields = look("none", steps_of(values), values=values, empty=empty)
    fields.custom = statetimeline.FieldConfig(line_width=0, fill_opacity=80)
    options = statetimeline.Options(
        show_value=common.VisibilityMode.AUTO,
        row_height=0.8,
        merge_values=True,
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=False
        ),
    )
    return panel("state-timeline", title, text, (width, height), [target(expr, "{{limit}}")], fields, options=options)


def link(title: str, uid: str, name: str = "", value: str = "") -> dict[str, str]:
    """A link to another dashboard with the same data source, job and time range, and one more choice set."""
    also = f"var-{name}={value}&" if name else ""
    kept = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"
    return {"title": title, "url": f"/d/{uid}?{also}{kept}"}


Column = tuple[str, str, Mapping[str, Any]]


def grid(
    title: str,
    text: str,
    size: tuple[int, int],
    key: tuple[str, str],
    columns: Sequence[Column],
    *,
    sort: Sequence[tuple[str, bool]],
    facts: tuple[str, Mapping[str, str]] = ("", {}),
    key_look: Mapping[str, Any] | None = None,
    empty: str = "",
) -> model.Panel:
    """A table: one row for each value of a label, one query for each column.

    ``sort``: columns, and whether the highest comes first. ``facts``: a query, and titles for its other labels, which
    are columns too; without the query the columns' own have them. A column of that title in ``columns``, without a
    query, gives its place and look.
    """
    label, name = key
    asked, (fact, labels) = [each for each in columns if each[1]], facts
    refs = {column: f"Value #{chr(ord('A') + n)}" for n, (column, _, _) in enumerate(asked)}
    sources = refs | {column: own for own, column in labels.items()}
    hidden = {"Time": True} | ({f"Value #{chr(ord('A') + len(asked))}": True} if fact else {})
    titles = {label: name} | {sources[column]: column for column, _, _ in columns}
    order = {label: 0} | {sources[column]: n for n, (column, _, _) in enumerate(columns, 1)}
    queries = [*(expr for _, expr, _ in asked), *([fact] if fact else [])]
    fields = look("short", PLAIN, empty=empty)
    fields.custom = common.TableFieldOptions(align=common.FieldTextAlignment.AUTO, inspect=False, filterable=True)
    return panel(
        "table",
        title,
        text,
        size,
        [target(expr, table=True) for expr in queries],
        fields,
        overrides=[
            by_name(name, **(key_look or {})),
            *(
                by_name(column, **({"displayName": column, "noValue": "–"} | dict(properties)))
                for column, _, properties in columns
            ),
        ],
        options=table.Options(
            cell_height=common.TableCellHeight.SM,
            sort_by=[common.TableSortByFieldState(display_name=column, desc=down) for column, down in sort],
        ),
        transformations=[
            model.DataTransformerConfig(id_val="merge", options={}),
            model.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": hidden, "renameByName": titles, "indexByName": order},
            ),
        ],
    )


def row(title: str) -> model.RowPanel:
    """A heading."""
    return model.RowPanel(title=title, grid_pos=model.GridPos(w=24, h=1), panels=[])


def placed(panels: Iterable[model.Panel | model.RowPanel]) -> list[Any]:
    """Give panels their ids and places: from left to right, a new line where the last one is full."""
    x = y = height = 0
    done: list[Any] = []
    for number, one in enumerate(panels, 1):
        place = one.grid_pos
        assert place is not None
        if x + place.w > 24:
            x, y, height = 0, y + height, 0
        one.id_val, place.x, place.y = number, x, y
        x, height = x + place.w, max(height, place.h)
        done.append(one)
    return done


def variable(name: str, label: str, query: str, *, several: bool = True) -> model.VariableModel:
    """A choice among label values: ``several`` or all of them, or one, the first unless a link names another."""
    text, value = (["All"], ["$__all"]) if several else ("", "")
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=name,
        label=label,
        hide=model.VariableHide.DONT_HIDE,
        datasource=DATASOURCE,
        definition=query,
        query={"query": query, "refId": f"Variable-{name}"},
        multi=several,
        include_all=several,
        all_value=".+" if several else None,
        current=model.VariableOption(text=text, value=value),
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.ALPHABETICAL_ASC,
        options=[],
        regex="",
    )


def source() -> model.VariableModel:
    """The choice of the Prometheus."""
    return model.VariableModel(
        type_val=model.VariableType.DATASOURCE,
        name="datasource",
        label="Data source",
        hide=model.VariableHide.DONT_HIDE,
        query="prometheus",
        current=model.VariableOption(text="", value=""),
        refresh=model.VariableRefresh.ON_DASHBOARD_LOAD,
        options=[],
        regex="",
    )


def mark(name: str, color: str, expr: str, title: str) -> model.AnnotationQuery:
    """Marks on every panel over time."""
    return model.AnnotationQuery(
        name=name,
        datasource=DATASOURCE,
        enable=True,
        hide=False,
        icon_color=color,
        expr=expr,
        title_format=title,
        text_format=name,
        step="60s",
        use_value_for_time=False,
    )
