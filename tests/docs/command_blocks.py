"""Follow a page of the docs the way a reader does: write its files, run its commands, compare what it says they print.

What a page can say to this reader, all of it in Markdown that shows nothing odd elsewhere:

    ```sh                            run as one script; variables and the folder last to the end of the page
    ```python                        run as one script
    ```yaml title="quota.yaml"       written to that file; any language but those two
    ```text title="prints"           what the block before printed: … stands for anything, an instant for any
    ```json title="prints"           the same as JSON: what is shown must be there, more may be; "…" stands for anything
    <!-- not run: why not -->        before a block: it is left alone, and `test_commands.py` counts it
    <!-- exits: 73 -->               before a block: it must end with this status; 0 without it

`make run` and `quota-scheduler serve` on a line by themselves start the real service, again where it runs already.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.system.service_process import Place, ServiceProcess, free_port

ROOT = Path(__file__).parents[2]
RUN = ("sh", "python")
"""Languages of blocks that are commands."""
LONGEST_SECONDS = 60
ANYTHING = "…"
DAYS, MONTHS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun", "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
INSTANT = re.compile(
    rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z|(?:(?:{DAYS}) )?\d\d (?:{MONTHS}) \d\d:\d\d(?::\d\d)?(?: (?:UTC|[A-Z]\w+/\w+))?"
)
"""One that a page shows stands for any other."""
FENCE = re.compile(r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?$')
REMARK = re.compile(r"^ *<!-- (?P<word>not run|exits): (?P<text>.+) -->$")
SERVE = re.compile(r"""^(?:make run|(?:\.venv/bin/)?quota-scheduler serve)(?: ARGS="(?P<args>[^"]*)")?$""")
HERE = re.compile(r"(?:localhost|127\.0\.0\.1|(?<=http://)quota):8484")
"""The address of the service, as pages write it."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and what the remark before it says."""

    page: Path
    line: int
    language: str
    text: str
    title: str = ""
    not_run: str = ""
    exits: int = 0

    @property
    def place(self) -> str:
        """Where it stands, for a person."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    result: list[Block] = []
    remark: dict[str, str] = {}
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if said := REMARK.match(line):
            remark = {said["word"]: said["text"]}
        elif fence := FENCE.match(line):
            text = "\n".join(_inside(lines, fence["indent"]))
            result.append(
                Block(page, number, fence["language"], text, fence["title"] or "",
                      remark.get("not run", ""), int(remark.get("exits", 0)))
            )  # fmt: skip
            remark = {}
    return result


def _inside(lines: Any, indent: str) -> list[str]:
    """The lines up to the end of a block."""
    text = []
    for _, line in lines:
        if line == f"{indent}```":
            return text
        text.append(line.removeprefix(indent))
    raise AssertionError("a block does not end")


class Follower:
    """Somebody with an empty home and a service who does what pages say; the service ends with the ``with`` block."""

    def __init__(self, home: Path, *, serving: bool = True, instead: Mapping[str, str] | None = None) -> None:
        """``serving``: the service runs before the first page, with what it does by itself.

        ``instead`` are words of a page and what is read in their place: spans that a test need not wait for.
        """
        self.instead = instead or {}
        self.place, self.port, self.folder = Place(home), free_port(), home
        self.service: ServiceProcess | None = None
        self.tools = home / "bin"
        self.tools.mkdir()
        (home / ".venv").symlink_to(sys.prefix)
        paths = (str(self.tools), str(Path(sys.executable).parent), os.environ["PATH"])
        self.place.environ |= {
            "PATH": os.pathsep.join(paths),
            "QUOTA_LISTEN": f"127.0.0.1:{self.port}",
            "QUOTA_URL": f"http://127.0.0.1:{self.port}",
        }
        if serving:
            self.serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.service:
            self.service.kill()

    def program(self, name: str, text: str) -> None:
        """Put a program of somebody else on the path, such as an agent that costs money."""
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def serve(self, *args: str) -> None:
        """Start the service in the folder of the page, after the one that ran before has ended."""
        if self.service:
            assert self.service.terminate() == 0, self.service.said
        here = Place(self.place.home, self.place.environ)
        if (self.folder / "quota.yaml").exists():
            args = ("--config", str(self.folder / "quota.yaml"), *args)
        self.service = ServiceProcess(here, *args, port=self.port).ready()

    def follow(self, page: Path, folder: Path | None = None) -> list[Block]:
        """Do all that a page says, in a folder of its own. Returns the blocks that it says not to run."""
        self.folder = folder or self.place.home / page.stem
        self.folder.mkdir(exist_ok=True)
        printed = ""
        for block in blocks(page):
            if block.not_run:
                continue
            if block.title == "prints":
                compare(block, printed)
            elif block.language in RUN:
                printed = self.run(block)
            elif block.title:
                (self.folder / block.title).write_text(self._here(block.text) + "\n")
        return [block for block in blocks(page) if block.not_run]

    def run(self, block: Block) -> str:
        """Run one block to its end; what it printed."""
        if block.language == "python":
            return self._ran([sys.executable, "-c", self._here(block.text)], block)
        printed, script = "", []
        for line in block.text.splitlines():
            if serve := SERVE.match(line):
                printed += self._shell(script, block)
                script = []
                self.serve(*shlex.split(serve["args"] or ""))
            else:
                script.append(line)
        return printed + self._shell(script, block)

    def _shell(self, script: list[str], block: Block) -> str:
        """Run lines in the shell that the blocks before left behind."""
        if not any(script):
            return ""
        left = self.place.home / f"{block.page.stem}.left"
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {left}'
        begin = f". {left}" if left.exists() else f"cd {self.folder}"
        words = [begin, "set -e", f"trap 'code=$?; {keep}; exit $code' EXIT"]
        return self._ran(["bash", "-c", "\n".join([*words, *map(self._here, script)])], block)

    def _ran(self, command: list[str], block: Block) -> str:
        ended = subprocess.run(
            command, cwd=self.folder, env=self.place.variables(), capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=LONGEST_SECONDS,
        )  # fmt: skip
        said = f"{block.place} ended with {ended.returncode}, not {block.exits}:\n{ended.stdout}\n{ended.stderr}"
        assert ended.returncode == block.exits, said
        return ended.stdout + ended.stderr

    def _here(self, text: str) -> str:
        """A text of a page, about the service of this test."""
        for shown, meant in self.instead.items():
            text = text.replace(shown, meant)
        return HERE.sub(f"127.0.0.1:{self.port}", text)


def compare(block: Block, printed: str) -> None:
    """Fail where a page shows what its command did not print."""
    if block.language == "json":
        shown, actual = json.loads(block.text), json.loads(printed)
        assert _within(shown, actual), f"{block.place} shows what is not in\n{json.dumps(actual, indent=1)}"
        return
    pattern = "\n".join(map(_pattern, block.text.strip().splitlines()))
    actual = "\n".join(" ".join(line.split()) for line in printed.strip().splitlines())
    assert re.fullmatch(pattern, actual), f"{block.place} shows\n{block.text}\nand what was printed is\n{printed}"


def _pattern(line: str) -> str:
    """A shown line as a pattern: a line of … alone stands for any number of lines."""
    if line.strip() == ANYTHING:
        return r"[\s\S]*"
    words, begin, pattern = " ".join(line.split()), 0, ""
    for loose in re.finditer(f"{ANYTHING}|{INSTANT.pattern}", words):
        pattern += re.escape(words[begin : loose.start()])
        pattern += ".*" if loose[0] == ANYTHING else f"(?:{INSTANT.pattern})"
        begin = loose.end()
    return pattern + re.escape(words[begin:])


def _within(shown: Any, actual: Any) -> bool:
    """Whether all that is shown is there."""
    match shown:
        case str() if shown == ANYTHING:
            return True
        case str() if ANYTHING in shown:
            return isinstance(actual, str) and re.fullmatch(_pattern(shown), actual) is not None
        case dict():
            return isinstance(actual, dict) and all(
                key in actual and _within(value, actual[key]) for key, value in shown.items() if key != ANYTHING
            )
        case list():
            return isinstance(actual, list) and len(shown) == len(actual) and all(map(_within, shown, actual))
        case _:
            return bool(shown == actual)
