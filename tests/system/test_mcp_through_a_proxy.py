"""The tools of an agent over HTTPS: the official client, the program, a real proxy with a certificate, two replicas."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.test_proxy import TOKEN, Front
from tests.system.test_proxy import front as front

pytest.importorskip("mcp", reason="needs the MCP library")
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.tools.test_mcp import call

pytestmark = pytest.mark.system


def with_agent(
    front: Front, home: Path, variables: dict[str, str], talk: Callable[[ClientSession], Awaitable[Any]]
) -> Any:
    """What comes of a conversation with the tools, which reach the service through the proxy."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "quota_scheduler", "mcp", "--label", "provider=acme"],
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "QUOTA_URL": f"https://localhost:{front.port}",
            "QUOTA_TOKEN": TOKEN,
            **variables,
        },
    )

    async def session() -> Any:
        async with stdio_client(command) as (reading, writing), ClientSession(reading, writing) as agent:
            await agent.initialize()
            return await talk(agent)

    return asyncio.run(session())


def test_an_agent_reserves_and_gives_back_over_https_while_a_replica_ends(front: Front, tmp_path: Path) -> None:
    assert_a_certificate_that_is_not_trusted_is_said(front, tmp_path)

    async def talk(agent: ClientSession) -> list[str]:
        leased = await call(agent, "lease", tokens=400)
        second = await call(agent, "preflight", tokens=700)
        front.replicas[0].terminate()
        name = leased.split()[1].rstrip(":")
        released = await call(agent, "release", lease=name, usage={"acme-1": {"input": 20, "output": 5}})
        return [leased, second, released, await call(agent, "preflight", tokens=700)]

    leased, second, released, third = with_agent(front, tmp_path, {"SSL_CERT_FILE": os.fspath(front.certificate)}, talk)
    assert leased.startswith("Lease l1: 400 tokens are reserved for you.")
    assert second.startswith("It does not fit now (700 tokens).")
    assert released == "Lease l1 is released: 25 tokens counted, the rest is free again."
    assert third.startswith("It fits (700 tokens).")


def assert_a_certificate_that_is_not_trusted_is_said(front: Front, home: Path) -> None:
    """One sentence with the way out."""
    said = with_agent(front, home, {}, lambda agent: call(agent, "status"))
    assert said.startswith("ERROR ")
    assert "SSL_CERT_FILE" in said
    assert "Traceback" not in said
