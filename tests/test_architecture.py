"""The walls of the house: what each room may import, and what stands in one file alone."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "quota_scheduler"
HOUSE = ROOT.name
LONGEST_FILE = 400
PURE = {
    *(
        "__future__",
        "array",
        "bisect",
        "calendar",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fnmatch",
        "fractions",
    ),
    *(
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "msgspec",
        "math",
        "numpy",
        "operator",
        "pydantic",
        "re",
        "statistics",
        "types",
    ),
    *("typing", "unicodedata", "zlib", "zoneinfo"),
}
PURE_NAMES = {"pathlib.PurePosixPath"}
"""What the core may import beside itself: nothing that can read or change the world."""


def files(room: str) -> list[Path]:
    """The modules of a room: one file, or every file of a folder."""
    return sorted((ROOT / room).rglob("*.py")) or [path for path in [ROOT / f"{room}.py"] if path.exists()]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Everything a file imports, also inside functions: the line and the full dotted name."""
    package = [HOUSE, *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def importers(package: str) -> set[str]:
    """The files of the house that import a package, relative to it."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for _, name in imports(path)
        if name == package or name.startswith(f"{package}.")
    }


def room_of(name: str) -> str:
    """The room a dotted name of the house lies in; empty for the names of the package itself."""
    room = f"{name}.".split(".")[1]
    return room if files(room) else ""


@pytest.mark.parametrize("path", files("core"), ids=lambda path: path.stem)
def test_the_core_touches_nothing_outside_itself(path):
    outside = [
        f"line {line}: imports {name}"
        for line, name in imports(path)
        if not (name.startswith(f"{HOUSE}.core") or name.split(".")[0] in PURE or name in PURE_NAMES)
    ]
    clocks = [
        f"line {node.lineno}: reads the clock"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today"}
    ]
    effects = [
        f"line {node.lineno}: calls {node.func.id}()"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    ]
    assert outside + clocks + effects == []


CORE_ROOMS = [
    "observations",
    "limits",
    "tickets",
    "efficiency",
    "advice",
    "history",
    "ledger",
    "forecast",
    "admission",
    "queue",
    "cycle",
    "readings",
    "comments",
    "alerts",
    "replicas",
]
"""The packages of the core from the ground up: each may import the shared files and what stands before it."""


def core_room(name: str) -> str:
    """The package of the core that a dotted name lies in; empty for its shared files and for everything else."""
    parts = f"{name}...".split(".")
    return parts[2] if parts[1] == "core" and (ROOT / "core" / parts[2]).is_dir() else ""


@pytest.mark.parametrize("room", sorted(path.name for path in (ROOT / "core").iterdir() if list(path.glob("*.py"))))
def test_the_core_reads_upwards(room):
    allowed = {"", *CORE_ROOMS[: CORE_ROOMS.index(room) + 1]}
    below = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files(f"core/{room}")
        for line, name in imports(path)
        if core_room(name) not in allowed
    ]
    assert below == []


@pytest.mark.parametrize("path", sorted((ROOT / "core").glob("*.py")), ids=lambda path: path.stem)
def test_the_shared_files_of_the_core_know_no_package(path):
    if path.stem in SHARED:
        assert [name for _, name in imports(path) if core_room(name)] == []


SHARED = {"instants", "units", "priority", "names", "labels", "usage", "pricing", "kin"}
"""The words everybody uses: eight files below the packages of the core."""

VALUES = ("msgspec.Struct", "msgspec.field", "msgspec.NODEFAULT", "msgspec.to_builtins", "msgspec.structs.")
"""What values are made with: like data classes, any room may, but those that import little."""
BARE = {"aside", "client", "demo", "errors", "glance", "terminal", "tools", "wrapper"}

ROOMS = [
    pytest.param("errors", "", "", id="errors imports nothing"),
    pytest.param("addresses", "", "", id="addresses hide what is secret in them"),
    pytest.param("explanations", "", "", id="explanations say what errors mean"),
    pytest.param("data_files", "errors", "", id="data_files finds the data folders"),
    pytest.param("logs", "", "", id="logs writes lines"),
    pytest.param("core", "core", "numpy pydantic", id="core knows nobody"),
    pytest.param("recorded", "core recorded", "", id="recorded reads files of what was used"),
    pytest.param("backtest", "backtest core recorded", "numpy", id="backtest measures the core"),
    pytest.param("simulate", "core recorded simulate", "numpy", id="simulate lets the core decide in a made-up world"),
    pytest.param(
        "simulated", "core price_catalog service simulate", "", id="simulated plays a replay in a process of its own"
    ),
    pytest.param(
        "store",
        "addresses core errors store",
        "msgspec peewee playhouse psycopg psycopg_pool",
        id="store turns rows into core values",
    ),
    pytest.param("service", "core errors service store", "", id="service runs the journeys and knows no edge"),
    pytest.param("writer", "core errors service store traces", "", id="writer hands the journeys their transactions"),
    pytest.param(
        "plans", "client config core plans wrapper", "", id="plans ask as any client does, and run what run would run"
    ),
    pytest.param("client", "client", "", id="client needs nothing but the standard library"),
    pytest.param("demo", "client demo", "", id="demo is a client of the service it starts, and nothing else"),
    pytest.param("tools", "client tools", "mcp mcp_types pydantic", id="tools let agents ask, through the client"),
    pytest.param("outbound", "errors", "urllib3", id="outbound asks other servers"),
    pytest.param(
        "shipping", "core errors outbound shipping", "msgspec", id="shipping sends what one host reads to another"
    ),
    pytest.param("bills", "bills core outbound", "", id="bills read what providers counted and charged"),
    pytest.param("github", "core errors github outbound", "jwt", id="github keeps one comment at an issue"),
    pytest.param("terminal", "terminal core errors", "rich", id="terminal draws what the service said"),
    pytest.param("wrapper", "aside client core shipping sources wrapper", "", id="wrapper runs commands by the client"),
    pytest.param("glance", "core glance wrapper", "", id="a glance asks, shows, and imports little"),
    pytest.param("aside", "aside core sources", "", id="aside hears agents, and imports little"),
    pytest.param(
        "sources",
        "core errors sources",
        "msgspec google inotify_simple opentelemetry",
        id="sources turn logs into usage events",
    ),
    pytest.param("config", "addresses config core errors", "yaml", id="config builds one tree"),
    pytest.param("alert_rules", "core data_files errors", "yaml", id="alert_rules turn data into alert rules"),
    pytest.param("waiters", "", "", id="waiters park requests"),
    pytest.param("traces", "core", "", id="traces know what a span is about, and no library"),
    pytest.param("telemetry", "core traces", "opentelemetry", id="telemetry sends spans"),
    pytest.param("story", "core service", "", id="story logs what became of tickets"),
    pytest.param("supervisor", "", "", id="supervisor tells systemd how the service is"),
    pytest.param("auth", "config core errors", "", id="auth compares tokens"),
    pytest.param("price_corrections", "", "", id="price_corrections know where the table is behind"),
    pytest.param(
        "price_table", "core errors price_corrections", "genai_prices", id="price_table knows the models that are sold"
    ),
    pytest.param("price_catalog", "core errors price_table", "", id="price_catalog fills the core's price table"),
    pytest.param("metrics", "core errors metrics", "prometheus_client", id="metrics show what the core computed"),
    pytest.param(
        "notify", "core errors notify", "apprise requests", id="notify sends a message and says what became of it"
    ),
    pytest.param(
        "jobs",
        "core errors metrics service timetable traces",
        "",
        id="jobs only run what is due, and count what was missed",
    ),
    pytest.param("timetable", "", "apscheduler", id="the timetable only says when"),
    pytest.param(
        "api",
        "api auth config core errors explanations facade page service shipping short_way traces",
        "msgspec pydantic starlette",
        id="api parses, asks the service by verbs, renders",
    ),
    pytest.param(
        "replicas",
        "core errors replicas service store",
        "msgspec",
        id="replicas agree on who leads, and hand on what the leader computed",
    ),
    pytest.param("spool", "core errors store", "msgspec", id="spool keeps what the database is away for"),
    pytest.param("tasks", "jobs", "", id="tasks say what runs where"),
    pytest.param("page", "core page", "", id="page composes what is shown, and speaks no HTTP"),
    pytest.param(
        "behind", "health parts service", "", id="behind knows what must be known before anything is computed"
    ),
    pytest.param("readiness", "core errors runtime", "", id="readiness says whether work is taken"),
    pytest.param("health", "errors", "", id="health says whether what should happen does"),
    pytest.param("half_requests", "", "uvicorn", id="half_requests end after a time"),
    pytest.param("known_heads", "", "", id="known_heads know what the parser has read"),
    pytest.param(
        "short_way", "half_requests known_heads", "uvicorn", id="short_way answers what is plain, and decides nothing"
    ),
    pytest.param(
        "questions",
        "config core errors readiness runtime service store auth traces",
        "",
        id="questions are what the edge may look at",
    ),
    pytest.param(
        "facade",
        "auth config core questions runtime service simulate simulated sources store",
        "",
        id="facade is what the edge may ask, verb by verb",
    ),
    pytest.param(
        "server",
        "api config errors facade half_requests runtime short_way supervisor",
        "uvicorn",
        id="server owns the socket and the signals",
    ),
]
"""What each room may import: rooms of the house, and libraries beside the standard one."""

ASSEMBLY = {"__init__", "__main__", "assemble", "cli", "parts", "ruling", "runtime", "source_passes"}
"""What puts the house together, and may know every room."""


def test_every_room_has_its_row():
    rooms = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")}
    assert rooms - ASSEMBLY == {row.values[0] for row in ROOMS}


@pytest.mark.parametrize(("room", "rooms", "libraries"), ROOMS)
def test_rooms_import_only_inwards(room, rooms, libraries):
    strangers = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files(room)
        for line, name in imports(path)
        if (
            room_of(name) not in {"", *rooms.split()}
            if name.split(".")[0] == HOUSE
            else name.split(".")[0] not in {*sys.stdlib_module_names, *libraries.split()}
            and (room in BARE or not name.startswith(VALUES))
        )
    ]
    assert strangers == []


def module_of(name: str) -> Path | None:
    """The file of the house that a dotted name comes from: the module itself, or the one that defines it."""
    parts = name.split(".")[1:]
    for depth in (len(parts), len(parts) - 1):
        for path in (ROOT.joinpath(*parts[:depth], "__init__.py"), ROOT.joinpath(*parts[:depth]).with_suffix(".py")):
            if path.is_file():
                return path
    return None


def circle(arrows: dict[Path, set[Path]]) -> list[str]:
    """A way along the arrows that comes back to where it began; empty when there is none."""
    done: set[Path] = set()

    def walk(path: Path, way: tuple[Path, ...]) -> list[str]:
        if path in way:
            return [step.relative_to(ROOT).as_posix() for step in (*way[way.index(path) :], path)]
        if path not in done:
            for further in sorted(arrows[path]):
                if back := walk(further, (*way, path)):
                    return back
            done.add(path)
        return []

    return next((back for path in sorted(arrows) if (back := walk(path, ()))), [])


def test_no_file_imports_itself_by_way_of_others():
    arrows = {
        path: {
            other
            for _, name in imports(path)
            if name.split(".")[0] == HOUSE and (other := module_of(name)) not in {None, path}
        }
        for path in ROOT.rglob("*.py")
    }
    assert circle(arrows) == []


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        pytest.param("genai_prices", "price_table", id="only price_table knows where prices come from"),
        pytest.param("apprise", "notify", id="only notify knows how a message is sent"),
        pytest.param("requests", "notify", id="only notify hears what a receiver answers"),
        pytest.param("urllib3", "outbound", id="only outbound asks other servers"),
        pytest.param("mcp", "tools/server", id="one file speaks with agents"),
        pytest.param("opentelemetry.sdk", "telemetry", id="one file makes spans"),
        pytest.param("jwt", "github/identity", id="only an App's identity signs"),
        pytest.param("apscheduler", "timetable", id="only the timetable knows who calls"),
        pytest.param("inotify_simple", "sources/watch", id="only the watch knows how the kernel tells of changes"),
        pytest.param(
            "prometheus_client",
            "metrics assemble",
            id="only metrics knows the exposition, on the registry that assemble hands it",
        ),
        pytest.param("yaml", "config alert_rules", id="only configuration and alert rules are YAML"),
        pytest.param(
            "sqlite3",
            "store/engine store/sqlite store/migrate store/spool_file store/copies sources/opencode",
            id="the engine, steps, copies and the spool know SQLite, and the reader of a program that keeps its own",
        ),
        pytest.param("opentelemetry.proto", "sources/otlp/protobuf", id="one file knows the messages of OTLP"),
        pytest.param("rich", "terminal", id="only the terminal knows how text is painted"),
        pytest.param("click", "cli", id="only the command line talks to people through click"),
        pytest.param("starlette", "api", id="only the API speaks HTTP"),
    ],
)
def test_each_library_has_one_owner(library, owner):
    users = importers(library)
    assert users, f"nobody imports {library}"
    assert users <= {path.relative_to(ROOT).as_posix() for room in owner.split() for path in files(room)}


@pytest.mark.parametrize(
    "driver",
    [
        pytest.param("psycopg", id="psycopg"),
        pytest.param("psycopg_pool", id="its pool"),
        pytest.param("psycopg2", id="psycopg2"),
        pytest.param("apsw", id="apsw"),
    ],
)
def test_no_file_but_that_of_its_database_names_another_driver(driver):
    assert importers(driver) <= {
        f"store/{name}.py"
        for name in ("moving", "postgres", "postgres_connection", "postgres_ear", "postgres_pulse", "postgres_schema")
    }


def test_only_what_people_start_reads_the_environment():
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }
    assert readers
    people_start = {"config", "cli", "client", "__main__", "supervisor"}  # systemd speaks to us by it
    assert {reader.split("/")[0].removesuffix(".py") for reader in readers} <= people_start


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix()
)
def test_no_file_needs_a_table_of_contents(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
