"""CrewAI by its own events: as version 1.15 sends them, and with the real one where it is installed."""

import importlib.util
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from quota_scheduler.client import Client, crewai_listener
from quota_scheduler.client.crewai import CrewListener
from quota_scheduler.client.tracking import tracker
from tests.client.budgeted import CONFIG, HAIKU, seen, spend, used_by
from tests.client.model_server import model_server
from tests.system.service_process import Place, ServiceProcess

pytestmark = pytest.mark.system
NATIVE = {"input_tokens": 150, "output_tokens": 7, "total_tokens": 157, "cached_prompt_tokens": 40,
          "cache_creation_tokens": 10}  # fmt: skip
OPENAI = {"prompt_tokens": 150, "completion_tokens": 7, "total_tokens": 157, "cached_prompt_tokens": 40}
LITELLM = {"prompt_tokens": 150, "completion_tokens": 7, "total_tokens": 157, "cost": 0.0001515,
           "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10, "text_tokens": 100},
           "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40,
           "cached_prompt_tokens": 40, "reasoning_tokens": 0, "cache_creation_tokens": 10}  # fmt: skip
ONCE = {"input": 100, "read": 40, "write": 10, "output": 7, "calls": 1}


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[Client]:
    place = Place(tmp_path_factory.mktemp("service"))
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        service.ready()
        yield Client(f"http://127.0.0.1:{service.port}", spool=place.home / "spool.jsonl")


def listener_for(client: Client, team: str) -> CrewListener:
    return CrewListener(
        tracker(client, team=team, provider="", warn_at=0.8, at_limit="block", fallback=(), fail="open",
                priority="interactive", on_warning=lambda _: None, labels={})
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "response", "usage", "used"),
    [
        pytest.param(HAIKU, "msg_crew_1", NATIVE, ONCE, id="by Anthropic's package: its input includes the cache"),
        pytest.param("gpt-5-mini", "chatcmpl-9", OPENAI, ONCE | {"input": 110, "write": 0}, id="by OpenAI's package"),
        pytest.param(f"anthropic/{HAIKU}", "chatcmpl-8", LITELLM, ONCE, id="by LiteLLM"),
        pytest.param(HAIKU, "msg_crew_2", None, None, id="nothing is said"),
    ],
)
def test_an_event_is_counted(client, request, model, response, usage, used):
    team = f"crew-{abs(hash(request.node.callspec.id))}"
    listener = listener_for(client, team)
    assert listener.ask(SimpleNamespace(llm=SimpleNamespace(model=model))) is None
    listener.tell(None, SimpleNamespace(model=model, response_id=response, usage=usage))
    listener.quota_tracker.flush()
    assert used_by(client, team) == used


def test_a_call_that_no_longer_fits_is_not_made(client):
    spend(client, "crew-spent", 9.9999)
    seen(client, "crew-spent", 0.99)
    assert listener_for(client, "crew-spent").ask(SimpleNamespace(llm=SimpleNamespace(model=HAIKU))) is False


@pytest.mark.skipif(not importlib.util.find_spec("crewai"), reason="pip install crewai 'crewai[anthropic]'")
def test_a_crew(client, monkeypatch):
    from crewai import LLM, Agent, Crew, Task
    from crewai.events import crewai_event_bus

    listener = crewai_listener(client=client, team="crew-real")
    with model_server() as model:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", model.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
        writer = Agent(role="writer", goal="news", backstory="", llm=LLM(model=f"anthropic/{HAIKU}"))
        crew = Crew(agents=[writer], tasks=[Task(description="Is all well?", expected_output="a word", agent=writer)])
        assert crew.kickoff().raw == "All is well."
    crewai_event_bus.flush()
    listener.quota_tracker.flush()
    assert used_by(client, "crew-real") == ONCE
