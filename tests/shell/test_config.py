"""Loading the configuration: where it comes from, what wins, what it becomes, what is handed on."""

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from quota_scheduler.config import ApiToken, Config, Listen, Receiver, Role, default_config, load, starter_yaml
from quota_scheduler.config.writing import limits_hash, redacted
from quota_scheduler.core.labels import LabelRule
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.priority import Priority
from quota_scheduler.errors import ConfigError

HOME = {"HOME": "/home/ann"}
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PLANS = sorted((EXAMPLES / "plans").glob("*.yaml"))
HASH = "ab" * 32


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to start the program in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, environ: dict[str, str] | None = None, overrides: dict[str, str] | None = None) -> Config:
    """The configuration of a file with this text."""
    path = Path("given.yaml")
    path.write_text(text, encoding="utf-8")
    return load(path, HOME | (environ or {}), overrides or {})


def test_nothing_is_required():
    config = load(None, HOME)
    assert config == default_config(HOME)
    assert (config.origin, config.file, str(config.listen)) == ("defaults", None, "127.0.0.1:8484")
    assert config.database == Path("/home/ann/.local/state/quota-scheduler/quota.db")
    assert (config.sources.claude_code.roots, config.home, config.variables) == ((), Path("/home/ann"), {})
    assert [(limit.id, limit.amount, limit.mode) for limit in config.limits] == [
        ("anthropic-monthly", 300_000_000, Mode.WARN),
        ("run-cap", 5_000_000, Mode.WARN),
    ]


@pytest.mark.parametrize(
    ("environ", "database"),
    [
        pytest.param({"XDG_STATE_HOME": "/s"}, "/s/quota-scheduler/quota.db", id="state has a folder of its own"),
        pytest.param(
            {"XDG_STATE_HOME": "s"},
            "/home/ann/.local/state/quota-scheduler/quota.db",
            id="a relative one does not count",
        ),
    ],
)
def test_folder_of_the_database(environ, database):
    assert load(None, HOME | environ).database == Path(database)


def test_sources_are_told_what_the_variables_of_other_programs_say():
    others = {"CLAUDE_CONFIG_DIR": "/a,~/b", "XDG_CONFIG_HOME": "/c"}
    assert load(None, HOME | others | {"PATH": "/bin"}).variables == others


@pytest.mark.parametrize(
    ("files", "path", "environ", "used"),
    [
        pytest.param(["quota.yaml", "x/quota-scheduler/quota.yaml"], None, {}, "quota.yaml", id="this folder's first"),
        pytest.param(["x/quota-scheduler/quota.yaml"], None, {}, "x/quota-scheduler/quota.yaml", id="then the user's"),
        pytest.param(["quota.yaml", "b.yaml"], None, {"QUOTA_CONFIG": "b.yaml"}, "b.yaml", id="a variable names it"),
        pytest.param(["b.yaml", "c.yaml"], "c.yaml", {"QUOTA_CONFIG": "b.yaml"}, "c.yaml", id="the option wins"),
    ],
)
def test_which_file_is_used(here, files, path, environ, used):
    for name in files:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"listen: 127.0.0.1:{1 + files.index(name)}")
    config = load(path and Path(path), HOME | environ | {"XDG_CONFIG_HOME": str(here / "x")})
    assert (config.file, config.origin) == (here / used, str(here / used))
    assert config.listen.port == 1 + files.index(used)


def test_the_command_line_wins_over_variables_over_the_file():
    file = "{listen: '127.0.0.1:1', timezone: Europe/Paris, tick_seconds: 3, sources: {claude_code: {account: file}}}"
    environ = {
        "QUOTA_LISTEN": "127.0.0.1:2",
        "QUOTA_TIMEZONE": "Asia/Tokyo",
        "QUOTA_SOURCES__CLAUDE_CODE__ACCOUNT": "max-2",
        "QUOTA_DATABASE": "",
        "QUOTA_TOKEN": "a client's",
    }
    config = loaded(file, environ, {"listen": "127.0.0.1:3"})
    assert (config.listen.port, config.timezone, config.tick_seconds) == (3, "Asia/Tokyo", 3.0)
    assert config.sources.claude_code.account == "max-2"
    assert config.origin.split(", ")[1:] == [
        "QUOTA_LISTEN",
        "QUOTA_SOURCES__CLAUDE_CODE__ACCOUNT",
        "QUOTA_TIMEZONE",
        "--listen",
    ]


def test_a_list_in_a_variable_is_written_with_commas(here):
    config = load(None, HOME | {"QUOTA_SOURCES__CLAUDE_CODE__ROOTS": "/a,~/b,c"})
    assert config.sources.claude_code.roots == (Path("/a"), Path("/home/ann/b"), here / "c")


@pytest.mark.parametrize(
    ("written", "account"),
    [
        pytest.param("${WHO}", "ann", id="a variable"),
        pytest.param("team-${WHO}-${NOBODY:-x}", "team-ann-x", id="inside a text, with a default"),
        pytest.param("${EMPTY:-y}", "y", id="an empty variable takes the default"),
        pytest.param("$${WHO}", "${WHO}", id="two dollars are one"),
        pytest.param("007", "007", id="digits stay text"),
        pytest.param("off", "off", id="words that YAML takes for booleans stay text"),
    ],
)
def test_variables_inside_texts(written, account):
    config = loaded(f"sources: {{claude_code: {{account: '{written}'}}}}", {"WHO": "ann", "EMPTY": ""})
    assert config.sources.claude_code.account == account


@pytest.mark.parametrize(
    ("written", "path"),
    [
        pytest.param("sqlite:///a.db", "{here}/a.db", id="three slashes: beside the file"),
        pytest.param("sqlite:///a/b%20c.db", "{here}/a/b c.db", id="in a folder beside it"),
        pytest.param("sqlite:////a/b.db", "/a/b.db", id="four slashes: absolute"),
        pytest.param("a.db", "{here}/a.db", id="a plain path"),
        pytest.param("~/a.db", "/home/ann/a.db", id="at home"),
    ],
)
def test_database(here, written, path):
    folder = here / "etc"
    folder.mkdir()
    (folder / "quota.yaml").write_text(f"database: {written}")
    assert load(folder / "quota.yaml", HOME).database == Path(path.format(here=folder))
    assert load(None, HOME | {"QUOTA_DATABASE": written}).database == Path(path.format(here=here))


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///", "sqlite://host/a.db", "mysql://u:secret@h/d"])
def test_addresses_of_no_database_file_are_refused(address):
    with pytest.raises(ConfigError, match="QUOTA_DATABASE") as caught:
        load(None, HOME | {"QUOTA_DATABASE": address})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "listen", "is_loopback"),
    [
        pytest.param("127.0.0.1:0", Listen("127.0.0.1", 0), True, id="a port of the system's choice"),
        pytest.param("localhost:80", Listen("localhost", 80), True, id="this machine by name"),
        pytest.param("'[::1]:80'", Listen("::1", 80), True, id="this machine in IPv6"),
        pytest.param("9000", Listen("127.0.0.1", 9000), True, id="a port alone stays on this machine"),
        pytest.param("0.0.0.0:80", Listen("0.0.0.0", 80), False, id="every address"),
        pytest.param("127.evil.example:80", Listen("127.evil.example", 80), False, id="a name that looks local"),
    ],
)
def test_listen(written, listen, is_loopback):
    config = loaded(f"listen: {written}")
    assert (config.listen, config.listen.is_loopback, config.needs_tokens) == (listen, is_loopback, not is_loopback)


def test_label_rules_expand_home_and_set_a_class():
    rules = """
    sources: {claude_code: {labels: [
      {when: {cwd: "~/cron/**", model: "~x"}, set: {team: ops, class: low}},
      {when: {branch: main}, set: {account: max-2}}]}}
    """
    assert loaded(rules).sources.claude_code.labels == (
        LabelRule((("cwd", "/home/ann/cron/**"), ("model", "~x")), (("team", "ops"),), Priority.LOW),
        LabelRule((("branch", "main"),), (("account", "max-2"),), None),
    )


def test_receivers_alert_rules_and_prices():
    config = loaded("""
    receivers: [{id: ops, url: "${URL}"}]
    alerts: {rules: {usage_high: {enabled: off, threshold: 75%, for: 0, repeat: 12h, floor: {usd: 0.5}, receivers: ops},
                     high_usage_run: {threshold: 3M, severity: critical}}}
    prices: {own: {input: $0.50, output: 2, cache_read: 0}}
    """, {"URL": "slack://secret"})  # fmt: skip
    assert config.receivers == (Receiver("ops", "slack://secret", "info"),)
    assert config.alerts == {
        "high_usage_run": {"threshold": 3_000_000.0, "severity": "critical"},
        "usage_high": {
            "enabled": False,
            "threshold": 0.75,
            "for": timedelta(0),
            "repeat": timedelta(hours=12),
            "floor": {"usd": 0.5},
            "receivers": ["ops"],
        },
    }
    assert config.prices == {"own": OwnPrice(Decimal("0.50"), Decimal(2), cache_read=Decimal(0))}


def test_a_receiver_may_match_names_and_patterns():
    config = loaded("receivers: [{id: a, url: 'json://x', match: {team: [growth, sales], rule: 'usage_*'}}]")
    assert config.receivers[0].match == (("rule", "usage_*"), ("team", "growth|sales"))
    assert redacted(config)["receivers"][0]["match"] == {"rule": "usage_*", "team": "growth|sales"}


def test_tokens_come_from_the_file_and_a_file_of_their_own(here):
    (here / "tokens").write_text(f"# who\n\noperator:ann:{'CD' * 32}\n")
    config = loaded(f"{{tokens: [{{name: ci, role: runner, sha256: {HASH}}}], tokens_file: tokens}}")
    assert config.tokens == (ApiToken("ci", Role.RUNNER, HASH), ApiToken("ann", Role.OPERATOR, "cd" * 32))
    assert not replace(config, listen=Listen("0.0.0.0", 1)).needs_tokens


def test_secrets_appear_nowhere():
    config = loaded(
        f"{{receivers: [{{id: a, url: 'slack://hush'}}], tokens: [{{name: ci, role: runner, sha256: {HASH}}}]}}"
    )
    for shown in (repr(config), str(redacted(config))):
        assert "hush" not in shown
        assert HASH not in shown


@pytest.mark.parametrize("path", [EXAMPLES / "quota.yaml", *PLANS], ids=lambda path: path.stem)
def test_what_is_written_back_loads_to_the_same(path, here):
    config = load(path, HOME)
    again = here / "again.yaml"
    written = redacted(config) | {"receivers": [{"id": one.id, "url": one.url} for one in config.receivers]}
    again.write_text(yaml.safe_dump(written))
    found = load(again, HOME)
    assert [one.id for one in found.receivers] == [one.id for one in config.receivers]
    assert replace(found, file=config.file, origin=config.origin, receivers=config.receivers) == config
    assert limits_hash(found) == limits_hash(config)


def test_every_plan_has_an_example():
    assert [path.name for path in PLANS] == ["api-key.yaml", "subscription.yaml", "team-budgets.yaml"]


def test_the_starter_says_what_holds_without_it(here):
    config = loaded(starter_yaml())
    assert replace(config, file=None, origin="defaults") == default_config(HOME)
    assert config.file == here / "given.yaml"


def test_the_starter_loads_with_every_line_in_force():
    lines = starter_yaml().splitlines()
    config = loaded(
        "\n".join(line[1:] if line[:1] == "#" and line[1:3] != " Q" and is_setting(line) else line for line in lines)
    )
    assert [limit.id for limit in config.limits][2:] == ["max-session", "team-daily", "claude-runs"]
    assert (len(config.receivers), len(config.tokens), len(config.sources.claude_code.labels)) == (1, 1, 2)


def is_setting(line: str) -> bool:
    """Whether a comment is a setting: it starts right after the mark, or is indented by two or more."""
    return line[1:2] != " " or line[1:3] == "  "


def test_the_hash_of_the_limits_is_that_of_their_content():
    first = "{id: a, amount: 5, window: day, match: {team: [x, y]}}"
    second = "{id: b, amount: 5, window: day}"
    hashes = [limits_hash(loaded(f"limits: [{limits}]")) for limits in (
        f"{first}, {second}", f"{second}, {first.replace('x, y', 'y, x')}", f"{first}, {second.replace('5', '6')}"
    )]  # fmt: skip
    assert hashes[0] == hashes[1] != hashes[2]


def test_importing_the_configuration_loads_nothing_heavy():
    heavy = ["starlette", "apprise", "genai_prices", "numpy", "pydantic", "peewee", "yaml"]
    code = (
        f"import sys, quota_scheduler.config as c; c.default_config(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
