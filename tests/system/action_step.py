"""Steps of `action.yml`, run as a runner of GitHub Actions runs them."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from tests.system.service_process import REPOSITORY, Place

ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
PROGRAM = f"""#!/bin/sh
if [ "$1" = run ]; then shift; set -- run --patience 1s "$@"; fi
exec {sys.executable} -m quota_scheduler "$@"
"""
"""The program as a runner has it, but for how long a service that is away is tried."""
RUNS = itertools.count(1)
RUNNER = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
"""What a runner calls for `shell: bash`."""
AGENT = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "lease": bool(os.environ.get("QUOTA_LEASE"))}))
sys.exit(int(os.environ.get("AGENT_EXIT", "0")))
"""


def run_step(place: Place, url: str, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """The step ``run`` as a runner does it: its exit status, what it printed, its outputs."""
    tools = place.home / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "quota-scheduler").write_text(PROGRAM)
    (tools / "agent").write_text(f"#!{sys.executable}\n{AGENT}")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    given = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()} | {"url": url, "issue": "0"}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    output = place.home / "output"
    output.write_text("")
    environ = filled(STEPS["run"]["env"], given) | {
        "PATH": f"{tools}:{place.home / '.local/bin'}:{os.environ['PATH']}",
        "HOME": str(place.home),
        "GITHUB_REPOSITORY": "acme/web",
        "GITHUB_RUN_ID": inputs.pop("run_id", None) or f"r{next(RUNS)}",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "tests",
        "GITHUB_WORKFLOW": "nightly $(touch never)",
        "GITHUB_OUTPUT": str(output),
        "PYTHONPATH": str(REPOSITORY),
        "AGENT_EXIT": inputs.get("agent_exit", "0"),
    }
    done = subprocess.run(
        [*RUNNER, STEPS["run"]["run"]], env=environ, cwd=place.home, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, outputs


def filled(env: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a step with its inputs in them."""
    return {name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], text) for name, text in env.items()}
