"""Files that change under a real kernel's eyes: what the next pass looks at, and that nothing is missed by watching."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.source_batch import FileState
from quota_scheduler.sources.tail import ChangedFiles
from quota_scheduler.sources.watch import FolderWatch, is_written_elsewhere

OVERFLOW = Path("/proc/sys/fs/inotify/max_queued_events")


@dataclass
class Tree:
    """A tree of transcripts, who watches it, and what has been read of it."""

    folder: Path
    watch: FolderWatch = field(init=False)
    states: dict[str, FileState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "projects"
        self.watch = FolderWatch([self.root, self.folder / "later"], ".jsonl")
        for name in ("a/1", "a/2", "b/3"):
            self.write(name)

    def write(self, name: str, text: str = "{}\n") -> Path:
        """Append to a file below the root."""
        path = self.root / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)
        return path

    def look(self) -> ChangedFiles:
        """What a pass would read now; nothing is read."""
        return self.watch.changed_files(self.states)

    def read(self) -> "tuple[list[str], list[str], list[str]]":
        """One pass: what was read, what is gone, and what was looked at, as names."""
        listing = self.look()
        gone = listing.gone(self.states)
        self.states |= {state.path: state for state in listing.todo}
        for path in gone:
            del self.states[path]
        return [self.name(state.path) for state in listing.todo], self.names(gone), self.names(listing.seen)

    def names(self, paths: "set[str] | list[str]") -> list[str]:
        return sorted(map(self.name, paths))

    def name(self, path: str) -> str:
        return str(Path(path).relative_to(self.folder)).removesuffix(".jsonl").removeprefix("projects/")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.watch.close()


ALL = ["a/1", "a/2", "b/3"]


def test_the_first_pass_looks_at_all_and_the_next_at_nothing_but_what_it_has_read(tree):
    assert (tree.read()[2], tree.read(), tree.read()) == (ALL, ([], [], ALL), ([], [], []))


def rename_over(tree: Tree) -> None:
    other = tree.folder / "new"
    other.write_text("{}\n{}\n")
    other.rename(tree.root / "a/1.jsonl")


def move_a_folder_in(tree: Tree) -> None:
    (tree.folder / "elsewhere").mkdir()
    (tree.folder / "elsewhere/5.jsonl").write_text("{}\n")
    (tree.folder / "elsewhere").rename(tree.root / "c")


def remove_a_folder(tree: Tree) -> None:
    (tree.root / "b/3.jsonl").unlink()
    (tree.root / "b").rmdir()


def a_root_appears(tree: Tree) -> None:
    (tree.folder / "later").mkdir()
    (tree.folder / "later/6.jsonl").write_text("{}\n")


def the_root_is_replaced(tree: Tree) -> None:
    tree.root.rename(tree.folder / "old")
    tree.write("a/1", "{}\n{}\n")


def more_happens_than_the_kernel_keeps(tree: Tree) -> None:
    noise = tree.root / "a/noise"
    for _ in range(int(OVERFLOW.read_text()) // 3 + 10):  # made, written and removed: three events each
        noise.write_text("x")
        noise.unlink()
    tree.write("b/3")


@pytest.mark.parametrize(
    ("happens", "read", "gone", "looked_at"),
    [
        pytest.param(lambda tree: tree.write("a/1"), ["a/1"], [], ["a/1"], id="a file grows"),
        pytest.param(lambda tree: tree.write("a/4"), ["a/4"], [], ["a/4"], id="a file comes into being"),
        pytest.param(lambda tree: tree.write("c/4"), ["c/4"], [], ["c/4"], id="a folder with a file"),
        pytest.param(lambda tree: tree.write("c/d/e/4"), ["c/d/e/4"], [], ["c/d/e/4"], id="folders in folders"),
        pytest.param(lambda tree: (tree.root / "a/x.txt").write_text("x"), [], [], [], id="a file of another kind"),
        pytest.param(rename_over, ["a/1"], [], ["a/1"], id="a file is replaced by another"),
        pytest.param(lambda tree: (tree.root / "a/1.jsonl").unlink(), [], ["a/1"], [], id="a file goes"),
        pytest.param(remove_a_folder, [], ["b/3"], ["a/1", "a/2"], id="a folder goes: all are looked at"),
        pytest.param(move_a_folder_in, ["c/5"], [], [*ALL, "c/5"], id="a folder is moved in: all are looked at"),
        pytest.param(a_root_appears, ["later/6"], [], [*ALL, "later/6"], id="a root that was not there appears"),
        pytest.param(the_root_is_replaced, ["a/1"], ["a/2", "b/3"], ["a/1"], id="the root itself is another"),
        pytest.param(
            more_happens_than_the_kernel_keeps, ["b/3"], [], ALL, id="the kernel drops events: all are looked at"
        ),
    ],
)
def test_what_the_next_pass_reads(tree, happens: Callable[[Tree], object], read, gone, looked_at):
    for _ in range(3):
        tree.read()
    happens(tree)
    assert tree.read() == (read, gone, looked_at)
    tree.read()
    assert tree.read()[:2] == ([], [])
    tree.write("a/1")
    assert tree.read()[0] == ["a/1"]  # whatever happened, it is watched on


def test_what_stands_elsewhere_is_looked_at_in_every_pass(tree):
    target = tree.folder / "target"
    target.write_text("{}\n")
    (tree.root / "a/link.jsonl").symlink_to(target)
    tree.read(), tree.read()
    with target.open("a") as file:
        file.write("{}\n")
    assert (tree.read()[0], tree.read()[2]) == (["a/link"], ["a/link"])


def test_a_file_in_a_linked_folder_is_watched(tree):
    (tree.folder / "far").mkdir()
    (tree.root / "near").symlink_to(tree.folder / "far")
    tree.read(), tree.read(), tree.read()
    (tree.folder / "far/7.jsonl").write_text("{}\n")
    assert tree.read() == (["near/7"], [], ["near/7"])


def test_what_a_pass_did_not_store_is_found_by_the_next(tree):
    tree.read(), tree.read()
    tree.write("a/1")
    assert [[state.path for state in tree.look().todo] for _ in range(3)] == [[str(tree.root / "a/1.jsonl")]] * 3


def test_who_forgets_what_was_read_gets_all_of_it(tree):
    tree.read(), tree.read()
    tree.states.clear()
    assert tree.read()[0] == ["a/1", "a/2", "b/3"]


@contextmanager
def no_more_open_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, limits[1]))  # room to look, not to watch
    held = os.open("/", os.O_RDONLY)
    try:
        yield
    finally:
        os.close(held)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_where_the_kernel_gives_no_watch_every_pass_looks_at_all(tree, caplog):
    caplog.set_level("INFO")
    with no_more_open_files():
        tree.watch.changed_files({})
    assert tree.watch.is_watching is False
    assert "raise fs.inotify.max_user_instances" in caplog.text
    tree.read()
    tree.write("a/1")
    assert (tree.read(), tree.read()[2]) == ((["a/1"], [], ALL), ALL)


@pytest.mark.parametrize(
    ("kind", "elsewhere"),
    [
        pytest.param("ext4", False, id="a disk of its own"),
        pytest.param("nfs4", True, id="a server's"),
        pytest.param("fuse.sshfs", True, id="mounted by a program"),
        pytest.param("virtiofs", True, id="of the machine around this one"),
    ],
)
def test_other_machines_write_some_file_systems(tmp_path, kind, elsewhere):
    table = tmp_path / "mountinfo"
    home = str(tmp_path / "my home").replace(" ", "\\040")
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / {home} rw shared:1 - {kind} server:/x rw\n")
    place = tmp_path / "my home/projects"
    place.mkdir(parents=True)
    assert is_written_elsewhere(place, table) is elsewhere
    watch = FolderWatch([place], ".jsonl", mounts=table)
    watch.changed_files({})
    assert watch.is_watching is not elsewhere
    watch.close()
