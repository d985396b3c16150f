"""What a plan's command lines run, and whether the program is there, before anything is started."""

import re
import shlex
import shutil

from quota_scheduler.plans.plan import Command

SHELL = "/bin/sh"
_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\]*\"")
_SHELL_SIGNS = re.compile(r"[|&;<>()$`\\*?\[\]{}~#!\n=]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=\S*\s+")
_WORD = re.compile(r"[A-Za-z0-9_./+-]+")
OWN_WORDS = frozenset(
    {
        ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "else", "eval", "exec",
        "exit", "export", "fg", "fi", "for", "function", "if", "jobs", "read", "readonly", "return", "set",
        "shift", "then", "time", "times", "trap", "type", "ulimit", "umask", "unset", "until", "wait",
        "while",
    }
)  # fmt: skip
"""Words that the shell knows itself (POSIX)."""


def command_of(line: str) -> Command:
    """A command line as a program and its arguments; what only a shell understands is left to ``/bin/sh``."""
    if not _SHELL_SIGNS.search(_QUOTED.sub("", line)):
        try:
            words = tuple(shlex.split(line))
        except ValueError:
            words = ()
        if words and words[0] not in OWN_WORDS:
            return words
    return SHELL, "-c", line


def missing_program(command: Command, search: str | None) -> str:
    """The program of a command that is not there; empty where it is, or cannot be known. ``search`` is a PATH."""
    name = command[0]
    if command[:2] == (SHELL, "-c"):
        line = command[2].lstrip()
        while begin := _ASSIGNMENT.match(line):
            line = line[begin.end() :]
        word = _WORD.match(line)
        if word is None or word[0] in OWN_WORDS or not re.match(r"(\s|$|[;&|<>])", line[word.end() :]):
            return ""
        name = word[0]
    return "" if shutil.which(name, path=search) else name
