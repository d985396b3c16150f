"""The tools as an agent has them: the official client over standard input and output, the program, a service."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.client import Client
from tests.system.service_process import Place, ServiceProcess, free_port, until

pytest.importorskip("mcp", reason="needs the MCP library")
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

pytestmark = pytest.mark.system
CONFIG = """
limits:
  - {id: anthropic-monthly, match: {provider: anthropic}, unit: tokens, amount: 1M, window: month, holdback: 0}
"""
LONGEST = 700


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.config(CONFIG)
    return place


@pytest.fixture
def service(place: Place) -> Iterator[ServiceProcess]:
    with ServiceProcess(place) as service:
        yield service.ready()


def command(place: Place, url: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "quota_scheduler", "mcp", "--url", url, "--label", "team=growth"],
        env={"HOME": str(place.home), "PATH": os.environ["PATH"], "XDG_STATE_HOME": str(place.home / "state")},
    )


def with_agent(place: Place, url: str, talk: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """What comes of a conversation with the tools."""

    async def session() -> Any:
        async with stdio_client(command(place, url)) as (reading, writing), ClientSession(reading, writing) as agent:
            await agent.initialize()
            return await talk(agent)

    return asyncio.run(session())


async def call(agent: ClientSession, tool: str, **arguments: Any) -> str:
    """The text of a tool's answer; ``ERROR`` before one that is none."""
    answer = await agent.call_tool(tool, arguments)
    text = "".join(part.text for part in answer.content)
    assert len(text) <= LONGEST + 100, text
    return f"ERROR {text}" if answer.is_error else text


def url_of(service: ServiceProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def state_of(service: ServiceProcess, ticket: str = "t1") -> str:
    return str(Client(url_of(service)).transport.ask("GET", f"/v1/tickets/{ticket}?claim=no")["state"])


def test_an_agent_finds_six_tools_and_is_told_when_to_use_them(place, service):
    async def talk(agent: ClientSession) -> tuple[list[str], list[str]]:
        tools = (await agent.list_tools()).tools
        return [tool.name for tool in tools], [tool.name for tool in tools if not tool.description]

    names, silent = with_agent(place, url_of(service), talk)
    assert (names, silent) == (["status", "forecast", "preflight", "lease", "renew", "release"], [])


def test_an_agent_asks_reserves_tells_and_gives_back(place, service):
    async def talk(agent: ClientSession) -> list[str]:
        fits = await call(agent, "preflight", tokens=400_000, workflow="docs")
        leased = await call(agent, "lease", tokens=400_000, workflow="docs", model="claude-sonnet-5")
        name = leased.split()[1].rstrip(":")
        second = await call(agent, "lease", tokens=700_000)
        renewed = await call(agent, "renew", lease=name, usage={"claude-sonnet-5": {"input": 1000, "output": 500}})
        released = await call(agent, "release", lease=name, usage={"claude-sonnet-5": {"input": 2000, "output": 500}})
        return [fits, leased, second, renewed, released]

    fits, leased, second, renewed, released = with_agent(place, url_of(service), talk)
    assert fits.startswith("It fits (400,000 tokens). It may start now.")
    assert leased == (
        "Lease l1: 400,000 tokens are reserved for you. When you are done, call release with what was used; "
        "it is released by itself when you disconnect.\nThere is room: work as usual."
    )
    assert second.startswith("No lease. It does not fit now (700,000 tokens). It waits until ")
    assert second.endswith("tokens would fit now: do a smaller piece.")
    assert "\nUp to 599," in second
    assert renewed == "Lease l1: go on; 1,500 tokens told so far. It is renewed by itself."
    assert released == "Lease l1 is released: 2,500 tokens counted, the rest is free again."
    usage = Client(url_of(service)).usage_report(by=["team", "workflow"])
    assert [(dict(row.by), row.tokens) for row in usage] == [({"team": "growth", "workflow": "docs"}, 2_500)]


def test_status_and_forecast_are_figures_and_advice(place, service):
    Client(url_of(service)).record(
        {"provider": "anthropic", "key": "c1", "at": service_now(), "model": "claude-sonnet-5", "output": 900_000}
    )
    until(lambda: Client(url_of(service)).limits() and Client(url_of(service)).limits()[0].used == 900_000)

    async def talk(agent: ClientSession) -> list[str]:
        return [
            await call(agent, "status"),
            await call(agent, "forecast"),
            await call(agent, "forecast", limit="no-such"),
        ]

    status, forecast, unknown = with_agent(place, url_of(service), talk)
    assert status.startswith("anthropic-monthly: 900k tokens of 1M tokens used (90%); resets ")
    assert status.splitlines()[-1].startswith("Almost nothing is left: ")
    assert forecast.startswith("anthropic-monthly: 900k tokens of 1M tokens used; expected at the reset ")
    assert unknown == "ERROR There is no forecast of no-such; there are: anthropic-monthly."


def service_now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


def test_what_makes_no_sense_is_a_sentence(place, service):
    async def talk(agent: ClientSession) -> list[str]:
        return [
            await call(agent, "preflight", tokens=0),
            await call(agent, "renew", lease="l99"),
            await call(agent, "lease", tokens=5_000_000),
        ]

    assert with_agent(place, url_of(service), talk) == [
        "ERROR tokens must be more than 0: say how many you expect to use, such as 200000.",
        "ERROR There is no lease 'l99' of this connection; open are: none.",
        "No lease. It will never fit (5,000,000 tokens). Rejected: its estimate is larger than anthropic-monthly "
        "allows in a whole window (asks for 5M tokens; 0 tokens used of 1M tokens).\nSplit the work, or ask the user.",
    ]


def test_a_service_that_is_away_says_nothing_about_the_quota(place):
    url = f"http://127.0.0.1:{free_port()}"
    text = with_agent(place, url, lambda agent: call(agent, "preflight", tokens=10))
    assert text.startswith("ERROR The quota service does not answer (nothing answers")
    assert text.endswith("That says nothing about the quota: keep the work small, or ask again later.")


def test_an_agent_that_disconnects_gives_its_leases_back(place, service):
    text = with_agent(place, url_of(service), lambda agent: call(agent, "lease", tokens=100_000))
    assert text.startswith("Lease l1: ")
    until(lambda: state_of(service) == "closed", what="the release")


def test_a_server_that_is_told_to_end_gives_its_leases_back(place, service):
    asked = command(place, url_of(service))
    process = subprocess.Popen(
        [asked.command, *asked.args], env=asked.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'  # noqa: E501
    lease = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"lease","arguments":{"tokens":1000}}}'
    process.stdin.write(f'{hello}\n{{"jsonrpc":"2.0","method":"notifications/initialized"}}\n{lease}\n')
    process.stdin.flush()
    assert '"serverInfo"' in process.stdout.readline()
    assert "are reserved for you" in process.stdout.readline()
    assert state_of(service) == "running"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    until(lambda: state_of(service) == "closed", what="the release")
