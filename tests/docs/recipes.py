"""A machine to run pages of `docs/how-to` on, block by block, where somebody's own programs and units are needed.

Blocks are read as `command_blocks` reads them. A `console` block is a session: what follows `$ ` is a command, what
follows it is what it prints. Both are compared but for instants, and the width of columns.
"""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs import command_blocks
from tests.docs.command_blocks import INSTANT, Block
from tests.system.service_process import REPOSITORY, Place, ServiceProcess, free_port, until

HOW_TO = REPOSITORY / "docs/how-to"
FORECAST = re.compile(r"\$[\d.]+(\s+–)$")
"""In the table of teams: it grows through the day."""
TICKET = re.compile(r"\b(t|ticket:)\d+\b")
AGENT = """
import json, os, sys
usage = {"inputTokens": 20000, "outputTokens": 8000, "cacheReadInputTokens": 120000, "cacheCreationInputTokens": 0}
print(json.dumps({
    "type": "result", "subtype": "success", "is_error": False, "session_id": os.environ.get("SESSION", "s-1"),
    "result": "Done.", "model_usage_since_last_result": {"claude-sonnet-5": usage},
    "modelUsage": {"claude-sonnet-5": usage}, "total_cost_usd": 0.216}))
sys.exit(int(os.environ.get("AGENT_EXIT", "0")))
"""
"""Prints what `claude -p … --output-format json` ends with."""


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, in order; every block where none is named."""
    return [one for one in command_blocks.blocks(HOW_TO / page) if not languages or one.language in languages]


def block(page: str, language: str, number: int = 0) -> str:
    """The text of one block, its last line ended."""
    return blocks(page, language)[number].text + "\n"


def commands(session: Block) -> Iterator[tuple[str, str]]:
    """Each command of a `console` block, and what it prints."""
    for part in re.split(r"^\$ ", session.text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = command[:-1] + more
        yield command, printed


def plain(text: str) -> str:
    """What a program printed, without what differs from day to day: instants, widths of columns, numbers of tickets."""
    lines = (TICKET.sub(r"\1#", INSTANT.sub("WHEN", FORECAST.sub(r"$#\1", line))) for line in text.strip().splitlines())
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in lines)


class Machine:
    """A home with the programs that pages call, and a served process that takes each page's own configuration."""

    def __init__(self, home: Path) -> None:
        self.place = Place(home)
        self.tools = home / ".local/bin"
        self.tools.mkdir(parents=True)
        (home / ".config/quota-scheduler").mkdir(parents=True)
        self.tool("quota-scheduler", f'#!/bin/sh\nexec {sys.executable} -m quota_scheduler "$@"\n')
        self.tool("claude", f"#!{sys.executable}\n{AGENT}")
        self.port = free_port()
        self._configure("")
        self.service = ServiceProcess(self.place, port=self.port)
        self.service.ready()

    def tool(self, name: str, text: str) -> None:
        """A program on the search path."""
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def takes(self, config: str) -> None:
        """Let the service have a page's configuration."""
        before = self.service.said.count("config.reloaded")
        self._configure(config)
        self.service.process.send_signal(signal.SIGHUP)
        until(lambda: self.service.said.count("config.reloaded") > before, what=f"a reload: {self.service.said[-500:]}")

    def _configure(self, config: str) -> None:
        text = f"listen: 127.0.0.1:{self.port}\n{config}"
        self.place.config(text, ".config/quota-scheduler/quota.yaml")

    def sh(self, script: str, *, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script as cron, a timer or a hook would: with nothing in its environment but HOME and a path."""
        environ = {"HOME": str(self.place.home), "PATH": f"{self.tools}:/usr/local/bin:/usr/bin:/bin",
                   "PYTHONPATH": str(REPOSITORY), **variables}  # fmt: skip
        return subprocess.run(
            ["/bin/bash", "-c", script], input=stdin, capture_output=True, text=True, timeout=60, check=False,
            cwd=self.place.home, env=environ,
        )  # fmt: skip

    def plays(self, session: Block) -> None:
        """Run a session, and compare what is printed with what the page says."""
        for command, printed in commands(session):
            ended = self.sh(command)
            assert (command, plain(ended.stdout + ended.stderr)) == (command, plain(printed))

    def python(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program in Python, as somebody who installed the package would."""
        url = {"QUOTA_URL": f"http://127.0.0.1:{self.port}"}
        return self.sh(f"{shlex.quote(sys.executable)} -W ignore -", stdin=script, **url, **variables)

    def waiting(self) -> list[Mapping[str, object]]:
        """The tickets in line."""
        rows: list[Mapping[str, object]] = self.service.get("/v1/queue")["waiting"]
        return rows

    def end(self) -> None:
        """Stop the service."""
        self.service.kill()
