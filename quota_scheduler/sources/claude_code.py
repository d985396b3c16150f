"""Claude Code transcripts: where they lie, whose they are, and one pass over what is new in them.

    roots ──walk──► changed files ──tail──► lines ──transcript──► events ──► Batch, Batch, … (last)

Transcripts are append-only JSON lines, one file per session, sub-agents in folders beside it; resumed and forked
sessions repeat earlier lines in other files, which the ledger counts once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from quota_scheduler.core.labels import LabelRule
from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.ledger.unlisted import GoingOn
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.sources import read_ahead
from quota_scheduler.sources.labelling import PROVIDER, Labelling
from quota_scheduler.sources.passes import MAX_BYTES, MAX_EVENTS, OpenBatch, Take, scan_files
from quota_scheduler.sources.session_totals import goes_on, stated_totals
from quota_scheduler.sources.tail import Look, changed_files
from quota_scheduler.sources.transcript import Labeller, Span, TranscriptLines, read_lines, telling_lines, usage_lines
from quota_scheduler.sources.word.limit_lines import read_limit_line, record_in
from quota_scheduler.sources.word.word import Teller, instant_of, of_account, text_of

NAME = "claude_code"
"""The name of this source in the config and in the store."""
__all__ = ["NAME", "PROVIDER", "find_roots", "labeller", "scan", "session_of"]
SUFFIX = ".jsonl"
PROJECTS = "projects"
SUBAGENTS = "/subagents/"
"""What the path of a sub-agent's file holds."""


def find_roots(environ: Mapping[str, str], home: Path, configured: Sequence[str] = ()) -> list[Path]:
    """Return the folders to scan, without repeats; they need not exist yet.

    ``configured`` roots come first, then the comma list ``CLAUDE_CONFIG_DIR``, else both places the client uses by
    default. An entry may be a config folder or its ``projects`` folder; a configured one any folder of transcripts.
    """
    if configured:
        roots = [_configured(_expanded(entry, home)) for entry in configured]
    elif listed := [entry.strip() for entry in environ.get("CLAUDE_CONFIG_DIR", "").split(",") if entry.strip()]:
        roots = [_projects(_expanded(entry, home)) for entry in listed]
    else:
        config = _expanded(environ.get("XDG_CONFIG_HOME") or "~/.config", home)
        roots = [config / "claude" / PROJECTS, home / ".claude" / PROJECTS]
    unique: dict[Path, Path] = {}
    for root in roots:
        unique.setdefault(_resolved(root), root)
    return list(unique.values())


def _expanded(entry: str, home: Path) -> Path:
    return home / entry.removeprefix("~").lstrip("/") if entry == "~" or entry.startswith("~/") else Path(entry)


def _projects(path: Path) -> Path:
    """The ``projects`` folder of an entry that may be it already."""
    return path if path.name == PROJECTS and not _is_folder(path / PROJECTS) else path / PROJECTS


def _configured(path: Path) -> Path:
    return path if _is_folder(path) and not _is_folder(path / PROJECTS) else _projects(path)


def _is_folder(path: Path) -> bool:
    """Whether it is one that may be looked at: what may not is named by each pass, and must not end the start."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return path


def labeller(
    rules: Iterable[LabelRule] = (),
    *,
    account: str = "default",
    accounts: Mapping[Path, str] | None = None,
    home: Path | None = None,
    team: str = "",
) -> Labelling:
    """Return what labels transcript lines; ``accounts`` are by folder as ``find_roots`` returns it."""
    return Labelling(rules, account=account, accounts=accounts, home=home, team=team)


def session_of(path: str) -> str:
    """The session a file belongs to by its place: its name, or for sub-agents the folder that holds theirs."""
    holder, inside, _ = path.rpartition(SUBAGENTS)
    return PurePosixPath(holder if inside else path).stem


def scan(
    roots: Sequence[Path],
    states: Mapping[str, FileState],
    *,
    labeller: Labelling,
    look: Look | None = None,
    max_events: int = MAX_EVENTS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Batch]:
    """Make one pass: yield what is new under ``roots`` since ``states``, the last batch marked; see ``scan_files``.

    ``look`` finds what has changed; without one everything is looked at.
    """
    listing = look(states) if look else changed_files(roots, states, suffix=SUFFIX)
    yield from scan_files(listing, states, taker(roots, labeller), max_events, max_bytes)


def scan_ahead(
    roots: Sequence[Path], states: Mapping[str, FileState], *, labeller: Labelling, look: Look
) -> Iterator[Batch]:
    """The same, with much to read read in another process."""
    yield from read_ahead.scan_ahead(look(states), states, partial(taker, roots, labeller))


def taker(roots: Sequence[Path], labeller: Labelling) -> Take:
    """What takes the lines of files under ``roots`` into batches."""

    def take(batch: OpenBatch, text: bytearray, end: int, path: str, offset: int) -> None:
        labels, spans = labeller.of(path, roots), telling_lines(text, end)
        _take_lines(batch, text, spans, path, offset, labels)
        _take_totals(batch, text, end, spans, path, offset, labels)

    return take


def _take_lines(
    batch: OpenBatch, text: bytearray, spans: Sequence[Span], path: str, offset: int, labeller: Labeller
) -> None:
    """Read lines of a text, which stands at ``offset`` of a file, into a batch."""
    session = session_of(path)
    refused: list[bytes] = []
    try:
        lines = read_lines(usage_lines(text, spans, refused), session=session, labeller=labeller)
    except Exception:  # one line that no decoder foresaw: find it, and keep the others
        lines = None
    _take_word(batch, [*refused, *(lines.made_up if lines else ())], session, labeller)
    if lines is not None and not lines.errors:
        batch.events += lines.events
        batch.inherited += lines.inherited
        return
    alone: list[UsageEvent] = []
    errors = 0
    for span in spans:
        for line in usage_lines(text, [span]):
            one = _read_alone(line, session, labeller)
            if one.errors:
                errors += 1
                batch.garbled.setdefault(path, f"{path}, byte {offset + span[0]}")
            alone += one.events
            batch.inherited += one.inherited
            if lines is None:
                _take_word(batch, one.made_up, session, labeller)
    batch.events += alone if lines is None else lines.events
    batch.errors += errors


def _take_totals(
    batch: OpenBatch, text: bytearray, end: int, spans: Sequence[Span], path: str, offset: int, labeller: Labeller
) -> None:
    """Read what sessions state of themselves; files of sub-agents state nothing."""
    if SUBAGENTS in path:
        return
    session = session_of(path)
    stated = stated_totals(text, end, spans, path=path, offset=offset, session=session, labeller=labeller)
    batch.totals += stated.totals
    batch.errors += len(stated.garbled)
    for place in stated.garbled:
        batch.garbled.setdefault(path, f"{path}, byte {place}")
    if at := goes_on(text, end, offset):
        batch.going_on.append(GoingOn(session, offset, at))


def _take_word(batch: OpenBatch, lines: Iterable[bytes], session: str, labeller: Labeller) -> None:
    """Read what lines tell of limits; one that has no time of its own is no news, because history is read as well."""
    for line in lines:
        record = record_in(line)
        at = instant_of(record.get("timestamp"))
        if at is None:
            continue
        told = read_limit_line(record, Teller("", at, NAME, PROVIDER))
        if not told.is_empty:
            cwd, branch, said_session = (text_of(record.get(key)) for key in ("cwd", "gitBranch", "sessionId"))
            labels, _ = labeller(cwd, "", branch, said_session or session)
            batch.tell(of_account(told, labels.account, PROVIDER))


def _read_alone(line: memoryview, session: str, labeller: Labeller) -> TranscriptLines:
    try:
        return read_lines([line], session=session, labeller=labeller)
    except Exception:
        return TranscriptLines([], 1)
