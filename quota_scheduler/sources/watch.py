"""Which files have changed, told by the kernel (inotify) instead of found by asking about each; asked about as well.

    a file grows ──kernel──► its name ──► the next pass looks at that file alone
    everything else, and every five minutes ──► the next pass looks at all of them

Looking is the guarantee and watching only saves it: all files are looked at when the kernel had to drop events, where a
folder cannot be watched or read, comes into being, moves or goes, and where a root is missing or lies on a file system
that other machines write. What a pass did not get to the end of is looked at again by the next.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from inotify_simple import Event, INotify, flags

from quota_scheduler.core.ledger.source_batch import FileState
from quota_scheduler.sources.tail import ChangedFiles, changed_files, walk

log = logging.getLogger(__name__)
LOOK_AT_ALL_SECONDS = 300.0
"""Everything is looked at this often, whatever the kernel says."""
MOUNTS = Path("/proc/self/mountinfo")
WRITTEN_ELSEWHERE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "prl_fs", "ceph", "glusterfs", "lustre", "afs"}
)
"""File systems on which other machines write: this kernel hears nothing of it. So are all that begin with ``fuse``."""
_GROWN = flags.CREATE | flags.MODIFY | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
_MASK = _GROWN | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
_TREE = flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
"""What happens to a folder below a watched one and changes which files there are."""


class FolderWatch:
    """The files below some roots whose names end in ``suffix``, watched from the first look on. Not thread-safe."""

    def __init__(self, roots: Sequence[Path], suffix: str, *, mounts: Path = MOUNTS) -> None:
        self._roots, self._suffix, self._mounts = tuple(roots), suffix, mounts
        self._inotify: INotify | None = None
        self._folders: dict[int, set[str]] = {}
        self._pending: set[str] = set()
        self._settled: set[str] = set()
        self._linked: set[str] = set()
        self._missing: list[Path] = []
        self._looked_at: float | None = None
        self._tried_at: float | None = None
        self._problem = ""

    def changed_files(self, states: Mapping[str, FileState]) -> ChangedFiles:
        """List the files that may hold new lines since ``states``, as ``tail.changed_files`` does."""
        fresh = self._told()
        due = self._looked_at is None or time.monotonic() - self._looked_at >= LOOK_AT_ALL_SECONDS
        is_sure = self._settled <= states.keys()  # whoever forgets what was read wants to read it again
        if fresh is None or due or not is_sure or any(os.path.exists(root) for root in self._missing):
            return self._look_at_all(states)
        listing = ChangedFiles(missing=set())
        for folder in fresh:
            walk(folder, states, self._suffix, listing, self._enter)
        for path in self._pending | self._linked:
            listing.look_at(path, states)
        listing.sort()
        self._remember(listing, states)
        return listing

    @property
    def is_watching(self) -> bool:
        """Whether the kernel tells of changes: if not, each pass looks at everything."""
        return self._inotify is not None

    def close(self) -> None:
        """Let the kernel forget about it; the next look is over everything."""
        self._looked_at = None
        if self._inotify is not None:
            self._inotify.close()
        self._inotify, self._folders = None, {}

    def _told(self) -> list[str] | None:
        """Take in what the kernel has told: new folders; None where everything has to be looked at."""
        if self._inotify is None:
            return None
        folders: list[str] = []
        for event in self._inotify.read(timeout=0):
            named = self._named(event)
            if named is None:
                return None
            if event.mask & flags.ISDIR:
                folders += named
            else:
                self._pending.update(path for path in named if path.endswith(self._suffix))
        return folders

    def _named(self, event: Event) -> list[str] | None:
        """The paths that an event is about; None where it says that anything may be different."""
        if event.mask & (flags.Q_OVERFLOW | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT):
            return None
        if event.mask & flags.ISDIR and event.mask & _TREE:
            return None
        if event.mask & flags.IGNORED:
            self._folders.pop(event.wd, None)
            return []
        return [f"{folder}{os.sep}{event.name}" for folder in self._folders.get(event.wd, ())]

    def _look_at_all(self, states: Mapping[str, FileState]) -> ChangedFiles:
        self._begin()
        self._missing = [root for root in self._roots if not os.path.exists(root)]
        before, self._folders = self._folders, {}
        listing = changed_files(self._roots, states, suffix=self._suffix, enter=self._enter)
        for number in before.keys() - self._folders.keys():
            self._forget(number)
        self._linked = listing.linked
        self._settled = set()
        self._remember(listing, states)
        self._looked_at = time.monotonic() if self._inotify else None
        return listing

    def _remember(self, listing: ChangedFiles, states: Mapping[str, FileState]) -> None:
        """Look again at what is read now: the next pass finds it as it was left, or goes on with it."""
        self._pending = {state.path for state in listing.todo} | ((listing.missing or set()) & states.keys())
        self._settled |= listing.seen
        self._settled -= self._pending
        self._linked |= {path for path in self._pending if os.path.islink(path)}
        if listing.unreadable:
            self._looked_at = None

    def _begin(self) -> None:
        """Begin to watch where that is not so yet and can be of use."""
        now = time.monotonic()
        if self._inotify is not None or (self._tried_at is not None and now - self._tried_at < LOOK_AT_ALL_SECONDS):
            return
        self._tried_at = now
        if remote := [root for root in self._roots if is_written_elsewhere(root, self._mounts)]:
            self._say(f"{remote[0]} lies on a file system that other machines may write")
            return
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self._say(f"{error.strerror}: raise fs.inotify.max_user_instances")

    def _enter(self, folder: str) -> None:
        """Watch a folder, before it is looked into: what comes in between is told."""
        if self._inotify is None:
            return
        try:
            self._folders.setdefault(self._inotify.add_watch(folder, _MASK), set()).add(folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass  # it is named by who looks into it
        except (OSError, ValueError) as error:
            self._say(f"{folder}: {error}: raise fs.inotify.max_user_watches")
            self.close()

    def _forget(self, number: int) -> None:
        try:
            if self._inotify is not None:
                self._inotify.rm_watch(number)
        except OSError:
            pass  # the folder is gone, and its watch with it

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            log.info("source.not_watched every_pass_looks_at_all=yes reason=%s", problem)


def is_written_elsewhere(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether a path lies on a file system that other machines write, as far as the table of mounts tells."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
        place = f"{path.resolve()}/"
    except (OSError, RuntimeError):
        return False
    kinds = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        if after and len(fields := before.split(" ")) > 4:
            kinds[fields[4].replace("\\040", " ").rstrip("/") + "/"] = after.split(" ")[0]
    kind = kinds[max(inside, key=len)] if (inside := [point for point in kinds if place.startswith(point)]) else ""
    return kind in WRITTEN_ELSEWHERE or kind.startswith("fuse")
