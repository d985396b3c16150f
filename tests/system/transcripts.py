"""Transcripts with given amounts at given instants: what a test wants a limit, a cache or a run to look like."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quota_scheduler.core.usage import KINDS
from tests.corpus import Corpus, Session

NOW = timedelta(0)


def amounts(*corpora: Corpus) -> dict[str, int]:
    """What corpora must add up to, by token kind."""
    sums: Counter[str] = Counter()
    for corpus in corpora:
        for total in corpus.by_day.values():
            sums.update(dict(zip(KINDS, total, strict=False)))
    return {kind: sums[kind] for kind in KINDS}


class Agent:
    """One agent session writing its transcript under ``home``; each call is on disk when ``spend`` returns."""

    def __init__(self, home: Path, name: str = "session-1", *, cwd: str = "/srv/work/nightly", seed: int = 1) -> None:
        self.corpus = Corpus(home / ".claude", random.Random(f"{seed} {name}"))
        path = self.corpus.root / "projects" / cwd.replace("/", "-") / f"{name}.jsonl"
        self.session = Session(self.corpus, path, datetime.now(UTC), name, cwd)

    def spend(self, *, ago: timedelta = NOW, **kinds: int) -> "Agent":
        """One response ``ago`` before now, its last line some seconds later: tokens by kind, no others."""
        wanted = [kinds.get(kind, 0) for kind in KINDS]
        self.session.at = datetime.now(UTC) - ago
        # a response of the generator ends with nine tokens of output more than asked
        assert wanted[4] >= 9, "name at least nine tokens of output"
        wanted[4] -= 9
        before = len(self.session.lines)
        self.session.response(kinds=wanted)
        self.session.path.parent.mkdir(parents=True, exist_ok=True)
        with self.session.path.open("ab") as file:
            file.write(b"".join(self.session.lines[before:]))
        return self
