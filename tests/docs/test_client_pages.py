"""Pages for people who write Python or set up an agent: their blocks run as they stand, against a served process."""

import asyncio
import importlib.util
import json
import re
from collections.abc import Iterator

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from quota_scheduler.client import Client
from tests.client.model_server import ModelServer, model_server
from tests.docs.recipes import HOW_TO, Machine, block, blocks

pytestmark = pytest.mark.system
CONFIG = """
limits:
  - {id: anthropic-monthly, match: {provider: anthropic}, unit: tokens, amount: 300M, window: month}
  - {id: team-daily, per: team, unit: usd, amount: 10, window: day, holdback: 0}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("pages"))
    machine.takes(CONFIG)
    yield machine
    machine.end()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def client(machine: Machine) -> Client:
    return Client(f"http://127.0.0.1:{machine.port}", spool=machine.place.home / "spool.jsonl")


def calls_of(client: Client, **labels: str) -> int:
    rows = client.usage_report(by=[*labels])
    return sum(row.requests for row in rows if row.by == labels)


def test_the_python_client(machine, client):
    page = "use-the-python-client.md"
    ended = machine.python(block(page, "python"))
    assert (ended.stdout, ended.stderr) == (block(page, "text"), "")
    assert calls_of(client, team="growth", workflow="nightly-tests") == 2


def test_what_the_python_client_can_do(machine):
    page = (HOW_TO / "use-the-python-client.md").read_text(encoding="utf-8")
    written = re.findall(r"`(client\.[^`]+\(.*?\)[.\w]*)`", page)
    asked = [call for call in written if "..." not in call and "anthropic" not in call]
    assert len(asked) == 4
    ended = machine.python("from quota_scheduler.client import Client\nclient = Client()\n" + "\n".join(asked))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("sdk", "numbers", "said"),
    [
        pytest.param("langchain_anthropic", [0, 1, 2], "All is well.\n" * 2, id="Anthropic and LangChain"),
        pytest.param("crewai", [3], "All is well.\n", id="CrewAI"),
    ],
)
def test_an_sdk_is_tracked(machine, client, model, sdk, numbers, said):
    if not importlib.util.find_spec(sdk):
        pytest.skip(f"pip install {sdk} 'crewai[anthropic]'")
    before = calls_of(client, team="growth", model="claude-opus-5")
    scripts = [block("track-sdk-calls.md", "python", number) for number in numbers]
    ended = machine.python("\n".join(scripts), ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY="k")
    assert (ended.returncode, ended.stdout) == (0, said), ended.stderr
    assert calls_of(client, team="growth", model="claude-opus-5") == before + len(numbers)


def test_an_agent_finds_the_tools_of_the_page(machine):
    page = "let-an-agent-ask.md"
    (server,) = json.loads(block(page, "json"))["mcpServers"].values()
    command = machine.tools / server["command"]
    environ = {**server["env"], "QUOTA_URL": f"http://127.0.0.1:{machine.port}", "QUOTA_TOKEN": ""}

    async def talk() -> set[str]:
        there = StdioServerParameters(
            command=str(command), args=server["args"], env=environ | machine.place.variables()
        )
        async with stdio_client(there) as (reading, writing), ClientSession(reading, writing) as agent:
            await agent.initialize()
            return {tool.name for tool in (await agent.list_tools()).tools}

    table = (HOW_TO / page).read_text(encoding="utf-8").partition("## The tools")[2]
    assert asyncio.run(talk()) == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    added = blocks(page, "sh")[0].text.splitlines()[1]
    assert added.partition(" -- ")[2].split() == [server["command"], *server["args"]]
