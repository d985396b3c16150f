"""What is wrong with a configuration is told at once: where, which value, the way out; secrets never."""

from pathlib import Path

import pytest

from quota_scheduler.config import load
from quota_scheduler.errors import ConfigError

HOME = {"HOME": "/home/ann"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(
    text: str | bytes, environ: dict[str, str] | None = None, overrides: dict[str, str] | None = None
) -> list[str]:
    """What is wrong with a file of this text."""
    path = Path("quota.yaml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(path, HOME | (environ or {}), overrides or {})
    return caught.value.problems


def test_every_problem_is_told_at_once_in_the_order_of_the_file():
    text = """\
listn: 127.0.0.1:80
timezone: Mars/Base
limits:
  - id: a b
    amout: 5
    window: {every: day, starts: "25:00"}
  - {id: x, unit: usd, amount: 10, window: day, holdback: 20}
receivers:
  - {id: ops, url: hush}
log_format: ${FORMAT}
"""
    assert problems(text, {"QUOTA_TICK_SECOND": "1"}, {"listen": "nowhere"}) == [
        "quota.yaml:1: listn: unknown key `listn`: did you mean `listen`?",
        "quota.yaml:2: timezone: 'Mars/Base' is not a known time zone: write a name such as Europe/Berlin or UTC",
        "quota.yaml:4: limits[0].amount: is missing: say how much, as in `amount: 300M`",
        "quota.yaml:4: limits[0].id: 'a b' is not a name: "
        "write letters, digits, '-', '_' or '.', at most 64, a letter or digit first",
        "quota.yaml:5: limits[0].amout: unknown key `amout`: did you mean `amount`?",
        "quota.yaml:6: limits[0].window.starts: '25:00' does not say where a day starts: write 09:00",
        "quota.yaml:7: limits[1].holdback: keeps back more than the amount of $10.00: lower it",
        "quota.yaml:9: receivers[0].url: *** is not an address: "
        "write one for Apprise, such as slack://… or json://host/path",
        "quota.yaml:10: log_format: the variable FORMAT is not set: set it, or give a default with ${FORMAT:-…}",
        "--listen: 'nowhere' is not an address to listen on: write host:port, such as 127.0.0.1:8484",
        "QUOTA_TICK_SECOND: unknown variable: did you mean QUOTA_TICK_SECONDS?",
    ]


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        pytest.param("amount: 5", "window: is missing: say when it resets", id="no window"),
        pytest.param("window: day", "amount: is missing: say how much", id="no amount"),
        pytest.param("amount: -5, window: day", "amount: '-5' is not an amount", id="a negative amount"),
        pytest.param(
            "amount: 300M tokens, unit: usd, window: day", "amount: '300M tokens' counts tokens", id="two units"
        ),
        pytest.param("amount: $5, unit: tokens, window: day", "amount: '$5' counts usd", id="dollars are no tokens"),
        pytest.param("amount: 5, unit: token, window: day", "unit: 'token' is not known: did you mean", id="a unit"),
        pytest.param("amount: 5, unit: percent, window: day", "unit: percent is what a provider reports", id="percent"),
        pytest.param(
            "amount: 101, unit: percent, observed: claude/five_hour",
            "amount: is in percent of what",
            id="many",
        ),
        pytest.param("amount: 0, unit: percent, observed: claude/five_hour", "amount: is in percent", id="no percent"),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/daily", "observed: the window 'daily' is not", id="no window"
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/weekly_model",
            "observed: 'claude/weekly_model' does not say of which model",
            id="a week of no model",
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: codex/weekly/codex_bengalfox",
            "observed: codex_bengalfox binds some models only: say which",
            id="a scope that names no model",
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/five_hour, window: {session: 4h}",
            "window: is not that of five_hour: write `window: {session: 5h}`",
            id="another window than the provider's",
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/weekly, window: month",
            "window: is not that of weekly: write `window: {session: 7d}`",
            id="a month for a week",
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/five_hour, match: {account: [a, b]}",
            "observed: is about one account",
            id="two accounts",
        ),
        pytest.param(
            "amount: 5, unit: percent, observed: claude/five_hour, per: team",
            "per: does not go with",
            id="a per",
        ),
        pytest.param("amount: 5, observed: claude/weekly, window: run", "observed: rules a window that", id="a run"),
        pytest.param("amount: 5, window: day, parent: b", "parent: the limit 'b'", id="no such pool"),
        pytest.param(
            "amount: 5, window: day, borrow: 1", "borrow: needs the pool it is about", id="borrow from nobody"
        ),
        pytest.param(
            "amount: 5, window: day, observed: x", "observed: 'x' is not known: it can be claude", id="observed"
        ),
        pytest.param("amount: 5, window: 5h", "window: '5h' is a length of time: write {session: 5h}", id="a length"),
        pytest.param("amount: 5, window: fortnight", "window: 'fortnight' is not known", id="an unknown window"),
        pytest.param("amount: 5, window: {}", "window.every: is missing", id="an empty window"),
        pytest.param("amount: 5, window: {session: 5x}", "window.session: '5x' is not a length", id="a bad length"),
        pytest.param("amount: 5, window: {session: 0.5s}", "window.session: '0.5s' is too short", id="a tiny session"),
        pytest.param(f"amount: 5, window: {{session: {'9' * 400}}}", "window.session: '999", id="an endless session"),
        pytest.param(
            "amount: 5, window: {session: 5h, every: day}", "window.every: does not go with", id="two windows"
        ),
        pytest.param("amount: 5, window: {every: week, starts: 15}", "window.starts: '15' does not say", id="starts"),
        pytest.param("amount: 5, window: {every: day, timezone: X}", "window.timezone: 'X' is not a known", id="zone"),
        pytest.param("amount: 5, window: day, starts: 09:00", "starts: belongs into the window", id="a misplaced key"),
        pytest.param("amount: 5, unit: leases, window: day", "window: does not go with the unit leases", id="leases"),
        pytest.param(
            "amount: 5, unit: requests, window: run", "unit: requests cannot be capped per run", id="run unit"
        ),
        pytest.param(
            "amount: 5, per: run, window: day", "per: caps each run by itself", id="per run without its window"
        ),
        pytest.param("amount: 5, per: team, window: run", "per: 'team' does not go with `window: run`", id="per label"),
        pytest.param("amount: 5, window: day, per: teem", "per: 'teem' is not known: did you mean `team`?", id="per"),
        pytest.param(
            "amount: 5, window: day, overrides: {a: 1}", "overrides: needs one instance per", id="no instances"
        ),
        pytest.param(
            "amount: 5, window: day, per: team, values: [a], overrides: {b: 1}",
            "overrides: 'b' is not among the values",
            id="an override outside the closed set",
        ),
        pytest.param("amount: 5, window: day, warn_at: {a: 80%}", "warn_at: by value needs one instance", id="warn_at"),
        pytest.param("amount: 5, window: day, warn_at: 0", "warn_at: '0' would warn before anything", id="warn at 0"),
        pytest.param("amount: 5, window: day, at_limit: stop", "at_limit: 'stop' is not known", id="at_limit"),
        pytest.param("amount: 5, window: day, match: {tem: a}", "match.tem: the label 'tem' is not known", id="label"),
        pytest.param("amount: 5, window: day, match: {team: []}", "match.team: selects nothing", id="an empty match"),
        pytest.param("amount: 5, window: day, holdback: 110%", "holdback: '110%' is not a share", id="over everything"),
        pytest.param(
            "amount: 5, window: day, holdback: 6", "holdback: keeps back more than the amount", id="too much kept"
        ),
        pytest.param("amount: 5, window: run, holdback: 1", "holdback: has no effect on run caps", id="kept in vain"),
        pytest.param(
            "amount: 5, window: day, holdback: 1, max_quota_percent: 80",
            "max_quota_percent: says the same as holdback",
            id="one thing said twice",
        ),
        pytest.param(
            "amount: 5, window: day, reserved_budget_usd: 1", "reserved_budget_usd: is in dollars", id="dollars"
        ),
        pytest.param("amount: 5, quota_ceiling_usd: 5, window: day", "amount: is also given as", id="two amounts"),
        pytest.param("unit: usd, amount: 5, window: day, weights: {input: 2}", "weights: count tokens", id="weights"),
        pytest.param("amount: 5, window: day, weights: {cache: 1}", "weights.cache: the token kind 'cache'", id="kind"),
        pytest.param("amount: 5, window: day, weights: {input: 0.0001}", "weights.input: '0.0001' is not a", id="fine"),
        pytest.param("amount: 5, window: day, mode: of", "mode: 'of' is not known: did you mean `off`?", id="mode"),
        pytest.param(
            "amount: 5, window: day, max_instances: 0", "max_instances: '0' is not a whole", id="no instances"
        ),
        pytest.param("amount: [5], window: day", "amount: must be a single value, not a list", id="a list for a value"),
        pytest.param("amount: 5, window: [day]", "window: must be a mapping of keys and values, not a", id="a list"),
    ],
)
def test_limit(limit, problem):
    (found,) = problems(f"limits: [{{id: a, {limit}}}]")
    assert found.startswith(f"quota.yaml:1: limits[0].{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a: [", "quota.yaml:2: is not YAML: ", id="an open bracket"),
        pytest.param("a:\n\t- b", "quota.yaml:2: is not YAML: ", id="a tab"),
        pytest.param("- a", "quota.yaml:1: must hold keys and values", id="a list"),
        pytest.param("hello", "quota.yaml:1: must hold keys and values", id="a word"),
        pytest.param(b"a: \xff", "quota.yaml: is not UTF-8 text (byte 3)", id="another encoding"),
        pytest.param(b"a: \x00", "quota.yaml: is not YAML: ", id="a zero byte"),
        pytest.param("listen: 80\nlisten: 81", "quota.yaml:2: listen: is given twice, first on line 1", id="twice"),
        pytest.param("a: !!python/name:os.system ''", "quota.yaml:1: a: the tag tag:yaml.org,2002:python", id="a tag"),
        pytest.param("a: &x [*x]", "quota.yaml:1: is nested too deep or too large", id="a loop"),
        pytest.param("? [a]\n: b", "quota.yaml:1: file: a key must be a single word", id="a key that is a list"),
        pytest.param("database: postgresql://u:hush@h", "quota.yaml:1: database: the URL names no", id="a server"),
        pytest.param("database: postgresql://u@h:x/d", "quota.yaml:1: database: the port is no", id="no port"),
        pytest.param("sources: {cursor: {}}", "quota.yaml:1: sources.cursor: unknown key `cursor`", id="another agent"),
        pytest.param("timezone: ${1X}", "quota.yaml:1: timezone: ${1X} names no variable", id="not a variable"),
        pytest.param("tick_seconds: 1h", "quota.yaml:1: tick_seconds: '1h' is out of range", id="out of range"),
        pytest.param(
            "aging_step: 99999999999d", "quota.yaml:1: aging_step: '99999999999d' is not a length", id="ages"
        ),
        pytest.param("raw_retention: 500d", "quota.yaml:1: key_retention: is shorter than", id="keys outlive events"),
        pytest.param("rules: {risk_medium: 90%}", "quota.yaml:1: rules.risk_medium: risk_medium ≤", id="order"),
        pytest.param("fair_share: run", "quota.yaml:1: fair_share: 'run' is not known", id="no label"),
        pytest.param("receivers: slack://hush", "quota.yaml:1: receivers: must be a list, not the", id="url"),
        pytest.param("receivers: [slack://hush]", "quota.yaml:1: receivers[0]: must be a mapping of", id="no mapping"),
        pytest.param("tokens: [{name: a, role: x, sha256: hush}]", "quota.yaml:1: tokens[0].role: 'x'", id="role"),
        pytest.param("tokens: [{name: a, role: viewer, sha256: hush}]", "quota.yaml:1: tokens[0].sha256: *", id="hash"),
        pytest.param("tokens_file: gone", "quota.yaml:1: tokens_file: ", id="no tokens file"),
        pytest.param("receivers: [{id: a, url: 'json://x', match: {lmit: x}}]",
                     "quota.yaml:1: receivers[0].match.lmit: the name 'lmit' is not known: did you mean `limit`?",
                     id="nothing that a receiver can match"),
        pytest.param("alerts: {rules: {a: {receivers: x}}}", "quota.yaml:1: alerts.rules.a.receivers:", id="receiver"),
        pytest.param("prices: {a: {input: 1}}", "quota.yaml:1: prices.a.output: is missing", id="half a price"),
        pytest.param(
            "sources: {claude_code: {labels: [{when: {}, set: {team: a}}]}}",
            "quota.yaml:1: sources.claude_code.labels[0].when: must say when",
            id="a rule for everything",
        ),
        pytest.param(
            "limits: [{id: a, amount: 1, window: day}, {id: a, amount: 1, window: day}]",
            "quota.yaml:1: limits[1].id: 'a' is the id of an earlier limit",
            id="two limits of one name",
        ),
        pytest.param(
            "receivers: [{id: a, url: 'json://x'}, {id: a, url: 'json://hush'}]",
            "quota.yaml:1: receivers[1].id: 'a' is the id of an earlier receiver",
            id="two receivers of one name",
        ),
    ],
)  # fmt: skip
def test_one_problem(text, problem):
    found = problems(text)
    assert [found[0].startswith(problem), "hush" in "".join(found)] == [True, False], found
    assert len(found) <= 2


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        pytest.param({"QUOTA_LISTN": "1"}, "QUOTA_LISTN: unknown variable: did you mean QUOTA_LISTEN?", id="misspelt"),
        pytest.param({"QUOTA_XYZZY": "1"}, "QUOTA_XYZZY: unknown variable: unset it", id="unknown"),
        pytest.param(
            {"QUOTA_SOURCES__CLAUDE_CODE__ACOUNT": "1"},
            "QUOTA_SOURCES__CLAUDE_CODE__ACOUNT: unknown variable: did you mean QUOTA_SOURCES__CLAUDE_CODE__ACCOUNT?",
            id="misspelt inside a section",
        ),
        pytest.param({"QUOTA_LIMITS": "1"}, "QUOTA_LIMITS: stands for a list: set it in the file", id="a list"),
        pytest.param(
            {"QUOTA_SOURCES": "1"},
            "QUOTA_SOURCES: stands for a mapping of keys and values: set it in the file",
            id="a section",
        ),
        pytest.param(
            {"QUOTA_ALERTS__RULES__A__FOR": "1m"},
            "QUOTA_ALERTS__RULES__A__FOR: can only be set in the file",
            id="free keys",
        ),
        pytest.param(
            {"QUOTA_TIMEZONE": "X"},
            "QUOTA_TIMEZONE: 'X' is not a known time zone: write a name such as Europe/Berlin or UTC",
            id="a wrong value",
        ),
        pytest.param(
            {"ANTHROPIC_QUOTA_LIMIT": "lots"},
            "ANTHROPIC_QUOTA_LIMIT: 'lots' is not an amount: write a number such as 2500000, 2.5M or $10",
            id="a wrong amount",
        ),
    ],
)
def test_variables(environ, problem):
    assert problems("", environ) == [problem]


def test_a_variable_inside_a_list_of_the_file():
    text = "limits: [{id: a, amount: 1, window: day}]"
    assert problems(text, {"QUOTA_LIMITS__0__AMOUNT": "2"}) == [
        "QUOTA_LIMITS__0__AMOUNT: is inside the list limits: set it in the file"
    ]


def test_what_a_variable_holds_is_not_repeated():
    assert problems("timezone: ${ZONE}", {"ZONE": "hush"}) == [
        "quota.yaml:1: timezone: '${ZONE}' is not a known time zone: write a name such as Europe/Berlin or UTC"
    ]


def test_a_named_file_that_is_not_there():
    with pytest.raises(ConfigError) as caught:
        load(Path("gone.yaml"), HOME)
    assert caught.value.problems == [
        "gone.yaml: there is no such file: name another with --config, or write one with `config init`"
    ]


def test_lines_of_a_tokens_file(here):
    (here / "tokens").write_text(
        f"viewer:a:hush\nroot:b:{'ab' * 32}\nhush\nviewer:c:{'ab' * 32}\nrunner:d:{'AB' * 32}\n"
    )
    assert problems("tokens_file: tokens") == [
        f"{here}/tokens:1: *** is not a SHA-256: write the 64 digits of `printf %s TOKEN | sha256sum`, never the token",
        f"{here}/tokens:2: 'root' is not known: it can be viewer, runner or operator",
        f"{here}/tokens:3: *** is not a token: write role:name:sha256, and behind it label=value and "
        "expires=INSTANT where you need them",
        f"{here}/tokens:5: 'd' is the same token as 'c': give each its own",
    ]


def test_a_huge_tree_of_aliases_is_refused_at_once():
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    assert any("is nested too deep or too large" in problem for problem in problems("\n".join(layers)))
