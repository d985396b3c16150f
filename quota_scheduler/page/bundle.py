"""The modules of the page as one script: thirteen questions of a browser become one, and nobody has to build anything.

Each module is put into a function that returns what it exports, those it imports before it; so each keeps its names to
itself. What ``static/`` holds is written for this: an import names what it takes, on one line, from a file beside it.
"""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter

_IMPORT = re.compile(r'^import \{ (?P<names>[\w, ]+) \} from "\./(?P<module>\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (?P<name>\w+))", re.MULTILINE)


def bundled(modules: Mapping[str, str]) -> str:
    """One script that does what all modules do; ``modules`` are texts by name, without ``.js``.

    Raises graphlib.CycleError where modules import each other in a circle, KeyError where one is not there.
    """
    imported = {name: [one["module"] for one in _IMPORT.finditer(text)] for name, text in modules.items()}
    return "".join(_as_function(name, modules[name]) for name in TopologicalSorter(imported).static_order())


def _as_function(name: str, text: str) -> str:
    exported = ", ".join(one["name"] for one in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(lambda one: f"const {{ {one['names']} }} = {one['module']}_js;", text))
    return f"const {name}_js = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"
