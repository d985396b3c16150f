"""Every figure on the page is the API's: read in a browser, and made anew here from what each address answers."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.page.looking import FLAGS, opened
from tests.page.reading import read
from tests.page.rich import rich_in

REASONS = {"exhausted": "the limit is used up", "concurrency": "too many run at once", "held": "held by hand"}
LEVELS = {"exhausted": "■ used up", "paused": "❚❚ paused", "throttled": "▼ throttled"}
RISKS = {"critical": "▲▲ critical", "high": "▲ high", "medium": "◆ medium", "low": "● low", "unknown": "? unknown"}
HOME = "Europe/Berlin"


@pytest.fixture(scope="module")
def both(tmp_path_factory, program):
    """What stands on the page, and a way to ask the service that has not moved since."""
    path = program("chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with rich_in(tmp_path_factory.mktemp("rich")) as service, sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=FLAGS)
        page = opened(running, service.url)
        shown = read(page)
        answers = {name: service.ask("GET", address) for name, address in ADDRESSES.items()}
        assert page.complaints == []
        running.close()
        yield shown, answers


ADDRESSES = {
    "limits": "/v1/limits", "queue": "/v1/queue", "alerts": "/v1/alerts", "silences": "/v1/silences",
    "loans": "/v1/loans?days=7", "sources": "/v1/sources", "audit": "/v1/audit", "runs": "/v1/runs?days=14",
    "efficiency": "/v1/efficiency?days=7", "before": "/v1/efficiency?days=14",
    "costs": "/v1/usage/history?by=day&last=14d", "ready": "/readyz",
}  # fmt: skip


# How the page writes figures: up to three digits, halves upwards.


def percent(ratio: float) -> str:
    value = ratio * 100
    return "<1 %" if 0 < value < 1 else f"{math.floor(value + 0.5)} %"


def short(value: float) -> str:
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale * 0.9995:
            return f"{float(f'{value / scale:.3g}'):g}{letter}"
    return f"{math.floor(value * 10 + 0.5) / 10:g}"


def money(value: float) -> str:
    return f"${math.floor(value + 0.5):,}" if value >= 1000 else f"${value:.2f}"


def amount(value: float, unit: str) -> str:
    return {"usd": money, "percent": lambda points: f"{round(points, 1):g} %"}.get(unit, short)(value)


def clock(text: str, zone: str = HOME, *, today: str = "") -> str:
    at, now = datetime.fromisoformat(text).astimezone(ZoneInfo(zone)), datetime.now(ZoneInfo(zone))
    ahead = (at.date() - now.date()).days
    if ahead == 0:
        return f"{today}{at:%H:%M}"
    return f"{at:%a %H:%M}" if 0 < ahead < 7 else f"{at.day} {at:%b %H:%M}"


def whose(row: dict[str, Any]) -> str:
    names = [row["labels"].get(name) for name in ("team", "project", "workflow", "agent")]
    return "/".join(filter(None, names)) or row["labels"]["provider"]


def unit_word(unit: str) -> str:
    return {"usd": "", "percent": "points"}.get(unit, unit)


# What the page must show of an answer.


def used_of(row: dict[str, Any]) -> float:
    return float(row["leases"] if row["unit"] == "leases" else row["used"])


def figures(row: dict[str, Any]) -> list[str]:
    unit = row["unit"]
    loans = [f"{amount(loan['amount'], unit)} lent by {loan['from']}" for loan in row["borrowed"]]
    loans += [f"lends {amount(loan['amount'], unit)} to {loan['to']}" for loan in row["lent"]]
    reserved = f"+ {amount(row['reserved'], unit)} reserved" if row["reserved"] and unit != "leases" else ""
    of = f"{amount(used_of(row), unit)} of {amount(row['amount'], unit)} {unit_word(unit)}".strip()
    estimated = "partly estimated" if row["estimated"] else ""
    return list(filter(None, [percent(used_of(row) / row["amount"]), of, reserved, *loans, estimated]))


def runs_out(row: dict[str, Any]) -> str:
    forecast = row["forecast"]
    if row["unit"] == "leases":
        return "–"
    if row["level"] == "exhausted":
        return "has run out"
    if row["borrowed"] and row["usage_ratio"] >= 1:
        return "more is lent while it lasts"
    if not forecast["sufficient"]:
        return "too little history"
    if forecast["exhaustion_at"]:
        return clock(forecast["exhaustion_at"], row["timezone"])
    return f"{percent(forecast['expected_ratio'])} by the reset"


def resets(row: dict[str, Any]) -> str:
    if row["ends_at"] is None:
        return "never"
    return f"{clock(row['ends_at'], row['timezone'])} {row['timezone']}" if row["starts_at"] else "on first use"


def state(row: dict[str, Any]) -> str:
    if row["unit"] == "leases":
        return "■ full" if row["leases"] >= row["amount"] else f"● {row['amount'] - row['leases']:g} free"
    if row["mode"] != "enforce":
        return f"◇ {row['mode']} only"
    if row["borrowed"] and row["usage_ratio"] >= 1 and row["level"] != "exhausted":
        return "⇄ on loan"
    return LEVELS.get(row["level"], RISKS[row["risk"]])


def picture(row: dict[str, Any]) -> str:
    forecast = row["forecast"] or {}
    words = [f"{percent(row['usage_ratio'])} used"]
    words += [f"{percent(row['reserved'] / row['amount'])} reserved"] if row["reserved"] else []
    if forecast.get("sufficient"):
        worst = percent(forecast["high"] / row["amount"])
        words += [f"expected {percent(forecast['expected_ratio'])} by the reset", f"at worst {worst}"]
    elif forecast:
        words.append("forecast unknown: too little history")
    return ", ".join(words)


def provider(row: dict[str, Any]) -> list[str]:
    said = row["observed"]
    if not said:
        return []
    sign = "≠" if abs(said["reported_ratio"] - row["usage_ratio"]) >= 0.02 else "="
    return [f"{sign} provider {percent(said['reported_ratio'])}", f"here {percent(row['usage_ratio'])}"]


def limit_rows(answers: dict[str, Any]) -> dict[str, Any]:
    return {
        row["limit"]: {
            "figures": figures(row), "out": runs_out(row), "reset": resets(row), "state": [state(row), *provider(row)],
            "picture": picture(row), "waits": sum(one["waiting"] for one in row["waiting"]),
        }
        for row in answers["limits"]["limits"]
    }  # fmt: skip


def shown_limits(shown: dict[str, Any]) -> dict[str, Any]:
    return {
        row["name"][0]: {
            "figures": row["figures"], "out": row["out"][-1], "reset": row["reset"][-1], "state": row["state"],
            "picture": row["pictures"][0],
            "waits": int(row["name"][1].rsplit(" · ", 1)[1].split()[0]) if row["name"][1].endswith(" wait") else 0,
        }
        for row in shown["limits"]
    }  # fmt: skip


def queue_rows(answers: dict[str, Any]) -> list[Any]:
    return [
        [str(row["position"]), row["id"], whose(row), f"{row['class']} · {short(row['tokens'])} tokens", row["since"],
         "❚❚ held by hand" if row["on_hold"] else REASONS[row["reason"]]]
        for row in answers["queue"]["waiting"][:20]
    ]  # fmt: skip


def shown_queue(shown: dict[str, Any]) -> list[Any]:
    return [
        [row["place"][0], row["name"][0], row["name"][1], row["name"][2].split(" · waits")[0], row["times"][0],
         row["why"][0]]
        for row in shown["waiting"]
    ]  # fmt: skip


def lease_rows(answers: dict[str, Any]) -> list[Any]:
    return [
        [row["id"], whose(row), row["class"], row["since"], row["expires_at"],
         f"{percent(row['spent_ratio'])} of {short(row['tokens'])}"]
        for row in answers["queue"]["running"]
    ]  # fmt: skip


def shown_leases(shown: dict[str, Any]) -> list[Any]:
    return [
        [*row["name"][:2], row["name"][2].split(" · ")[0], *row["times"], row["spent"][0]] for row in shown["running"]
    ]


def alert_rows(answers: dict[str, Any]) -> list[Any]:
    firing = [one for one in answers["alerts"]["alerts"] if one["phase"] == "firing"]
    rows = [
        [one["severity"], one["rule"].replace("_", " "), one["scope"], one["fired_at"],
         f"{one['acknowledged_by']} takes care" if one["acknowledged_by"] else "silenced" if one["silenced_by"] else ""]
        for one in firing
    ]  # fmt: skip
    silences = [
        ["silence", ", ".join(f"{name} {value}" for name, value in one["matchers"].items()),
         f"{one['author']}: {one['comment']}", one["ends_at"]]
        for one in answers["silences"]["silences"]
    ]  # fmt: skip
    return sorted(rows) + silences


def shown_alerts(shown: dict[str, Any]) -> list[Any]:
    rows, silences = [], []
    for row in shown["alerts"]:
        word = row["name"][0].split(" ", 1)[1]
        if word == "silence":
            silences.append([word, row["name"][1], row["name"][2].split(" · ")[0], row["times"][0]])
        else:
            care = row["name"][3].split(" · ", 1)
            rows.append([word, *row["name"][1:3], row["times"][0], care[1] if len(care) == 2 else ""])
    return sorted(rows) + silences


def trend(now: float, before: float) -> str:
    change = now / before - 1
    if abs(change) < 0.05:
        return "= as before"
    return f"{'▲' if change > 0 else '▼'} {percent(abs(change))} {'more' if change > 0 else 'less'}"


INPUTS = ("input", "cache_read", "cache_write_5m", "cache_write_1h")


def efficiency_rows(answers: dict[str, Any]) -> list[Any]:
    longer = {row["workflow"]: row for row in answers["before"]["workflows"]}
    rows = []
    for row in sorted(answers["efficiency"]["workflows"], key=lambda one: -one["cost_usd"]):
        both = longer[row["workflow"]]
        runs = both["runs"] - row["runs"]
        inputs = {
            name: both[name] - row[name]
            for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "tokens")
        }
        hits = inputs["cache_read"] / (sum(inputs.values()) - inputs["tokens"])
        rows.append([
            [row["workflow"]], [str(row["runs"])],
            [short(row["tokens_per_run"]), trend(row["tokens_per_run"], inputs["tokens"] / runs)],
            [percent(row["cache_hit_rate"]), trend(row["cache_hit_rate"], hits)],
            ["unknown" if row["success_rate"] is None else percent(row["success_rate"])], [money(row["cost_usd"])],
        ])  # fmt: skip
    return rows


def source_rows(answers: dict[str, Any]) -> list[Any]:
    return [
        [[row["origin"], row["door"]], "pushed", row["last_at"], "unknown" if row["errors"] is None else "none"]
        for row in answers["sources"]["sources"]
    ]


def shown_sources(shown: dict[str, Any]) -> list[Any]:
    return [[row["cells"][0], row["cells"][1][0], row["times"][0], row["cells"][3][0]] for row in shown["sources"]]


def loan_rows(answers: dict[str, Any]) -> list[Any]:
    return [
        [one["borrower"], "owes", one["lender"], f"{amount(one['amount'], one['unit'])} {one['unit']} of {one['pool']}",
         f"since {clock(one['since'], today='today ')}, due {clock(one['due'])}"]
        for one in answers["loans"]["loans"]
    ]  # fmt: skip


def cost_rows(answers: dict[str, Any]) -> list[str]:
    rows = answers["costs"]["usage"]
    return [f"{datetime.fromisoformat(row['day']).strftime('%-d %b')}: {money(row['cost_usd'])}" for row in rows]


DONE = {
    "hold.all": "held everything", "silence.added": "silenced", "alert.acknowledged": "acknowledged",
    "limit.changed": "changed", "ticket.reclassed": "changed the class of", "ticket.held": "held",
}  # fmt: skip


def deed_rows(answers: dict[str, Any]) -> list[Any]:
    hold = answers["queue"]["hold"]
    rows: list[Any] = [["❚❚ everything is held", f"{hold['who']}: {hold['reason']}"]]
    for one in answers["audit"]["audit"]:
        detail = one["detail"]
        what = [DONE[one["what"]]]
        what += [f"t{detail['ticket']}"] if "ticket" in detail else []
        what += [f"to {detail['into']}"] if "into" in detail else []
        what += [f"{detail['limit']} amount {detail['fields']['amount']}"] if "limit" in detail else []
        if "matchers" in detail:
            what.append(", ".join(f"{name} {value}" for name, value in detail["matchers"].items()))
            what.append(f"({detail['comment']})")
        what += [f"({detail['reason']})"] if detail.get("reason") else []
        what += [f"{detail['rule']} of {detail['scope']}"] if "rule" in detail else []
        rows.append([one["who"], " ".join(what), clock(one["at"], today="today ")])
    return rows


def first_words(answers: dict[str, Any]) -> dict[str, Any]:
    """The large figure of each card, but spans that go on."""
    queue = answers["queue"]
    costs = [row["cost_usd"] for row in answers["costs"]["usage"]]
    firing = [one for one in answers["alerts"]["alerts"] if one["phase"] == "firing"]
    limits = answers["limits"]["limits"]
    stopped = [row["limit"] for row in limits if row["level"] in ("exhausted", "paused")]
    out = sorted(
        (row["forecast"]["exhaustion_at"], row["limit"], row["timezone"])
        for row in limits
        if row["mode"] == "enforce" and row["usage_ratio"] < 1 and row["forecast"] and row["forecast"]["sufficient"]
        and row["forecast"]["exhaustion_at"]
    )  # fmt: skip
    runs_out = [f"{len(stopped)} has run out", stopped[0]]
    if out:
        at, limit, zone = out[0]
        runs_out = [f"{limit} at {clock(at, zone)} {zone}", f"used up or paused: {stopped[0]}"]
    return {
        "Runs out next": runs_out,
        "Waiting": [str(len(queue["waiting"])), f"most: held by hand ({len(queue['waiting'])})"],
        "Running": [str(len(queue["running"]))],
        "Cost today": [money(costs[-1]), f"{money(sum(costs[-8:-1]) / 7)} a day in the week before"],
        "Alerts": [str(len(firing)), "all taken care of or silenced"],
        "Service": ["well"] if answers["ready"]["ready"] else ["in trouble"],
    }


def shown_words(shown: dict[str, Any]) -> dict[str, Any]:
    cards = shown["answers"]
    return {
        "Runs out next": cards["Runs out next"][-2:], "Waiting": cards["Waiting"][:2], "Running": cards["Running"],
        "Cost today": cards["Cost today"][:2], "Alerts": cards["Alerts"], "Service": cards["Service"][:1],
    }  # fmt: skip


def notes(answers: dict[str, Any]) -> dict[str, str]:
    phases = [one["phase"] for one in answers["alerts"]["alerts"]]
    costs = answers["costs"]["usage"]
    unpriced = sum(row["unpriced_tokens"] for row in costs)
    first = datetime.fromisoformat(costs[0]["day"]).strftime("%-d %b")
    return {
        "limits": f"{len(answers['limits']['limits'])} limits, the most urgent first",
        "queue": f"{len(answers['queue']['waiting'])} tickets, first to start first",
        "running": f"{len(answers['queue']['running'])} leases, used of what is reserved",
        "alerts": f"{phases.count('firing')} firing, {phases.count('pending')} pending",
        "costs": f"{money(sum(row['cost_usd'] for row in costs))} since {first}, {HOME}; {short(unpriced)} tokens have "
        "no price and are charged as the dearest",
        "loans": f"{len(answers['loans']['loans'])} stands",
    }


NOTED = ("limits", "queue", "running", "alerts", "costs", "loans")


@pytest.mark.parametrize(
    ("on_page", "from_api"),
    [
        pytest.param(shown_words, first_words, id="the six answers"),
        pytest.param(shown_limits, limit_rows, id="every limit"),
        pytest.param(shown_queue, queue_rows, id="the queue"),
        pytest.param(shown_leases, lease_rows, id="the leases"),
        pytest.param(shown_alerts, alert_rows, id="alerts and silences"),
        pytest.param(lambda shown: [row["cells"] for row in shown["efficiency"]], efficiency_rows, id="efficiency"),
        pytest.param(shown_sources, source_rows, id="the sources"),
        pytest.param(lambda shown: shown["loans"], loan_rows, id="the loans"),
        pytest.param(lambda shown: shown["costs"], cost_rows, id="what each day cost"),
        pytest.param(lambda shown: shown["deeds"], deed_rows, id="what is held, and what was done by hand"),
        pytest.param(
            lambda shown: {name: shown["notes"][name] for name in NOTED}, notes, id="what stands beside the titles",
        ),
    ],
)  # fmt: skip
def test_what_stands_on_the_page_is_what_the_api_says(both, on_page, from_api):
    shown, answers = both
    assert on_page(shown) == from_api(answers)


def test_nothing_of_what_is_compared_is_empty(both):
    shown, _ = both
    parts = ("limits", "waiting", "running", "alerts", "efficiency", "sources", "costs", "loans", "deeds", "banner")
    assert [name for name in parts if not shown[name]] == []
    assert {row["state"][0] for row in shown["limits"]} >= {"■ used up", "■ full", "⇄ on loan", "◇ warn only", "● low"}


def test_the_figures_are_of_today(both):
    _, answers = both
    assert datetime.now(UTC) - datetime.fromisoformat(answers["limits"]["at"]) < timedelta(minutes=5)
