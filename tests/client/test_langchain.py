"""The real chat models of LangChain, tracked and by a callback: every call counted once, in streams and chains too."""

import asyncio

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from quota_scheduler.client import BudgetExhausted, langchain_callback
from quota_scheduler.client.used import used_in
from tests.client.budgeted import HAIKU, seen, spend, used_by
from tests.client.model_server import SAYS_INPUT_FIRST, ModelServer

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")]


def langchain_claude(model: ModelServer, name: str = HAIKU, **options) -> ChatAnthropic:
    return ChatAnthropic(model=name, base_url=model.url, api_key="k", max_retries=0, **options)


def langchain_gpt(model: ModelServer, **options) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-5-mini", base_url=model.url, api_key="k", max_retries=0, **options)


async def _streamed(llm) -> str:
    return "".join([str(piece.content) async for piece in llm.astream("Is all well?")])


WAYS = {
    "invoke": lambda llm: llm.invoke("Is all well?").content,
    "ainvoke": lambda llm: asyncio.run(llm.ainvoke("Is all well?")).content,
    "stream": lambda llm: "".join(str(piece.content) for piece in llm.stream("Is all well?")),
    "astream": lambda llm: asyncio.run(_streamed(llm)),
}
"""How a model of LangChain is called."""
ONCE = {"input": 100, "read": 40, "write": 10, "output": 7, "calls": 1}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", [langchain_claude, langchain_gpt])
def test_a_chat_model_of_langchain_is_tracked_like_a_client(client, model, sdk, way):
    team = f"{sdk.__name__}-{way}"
    llm = client.track(sdk(model), team=team)
    assert WAYS[way](llm) == "All is well."
    llm.quota_tracker.flush()
    assert used_by(client, team) == ONCE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", [langchain_claude, langchain_gpt])
def test_a_callback_of_langchain_hears_of_every_call_of_a_chain(client, model, sdk, way):
    team = f"callback-{sdk.__name__}-{way}"
    callback = langchain_callback(client=client, team=team)
    chain = ChatPromptTemplate.from_messages(["{text}"]) | sdk(model, callbacks=[callback], stream_usage=True).bind(
        stop=["x"]
    )
    chain = (lambda text: {"text": text}) | chain
    assert WAYS[way](chain) == "All is well."
    callback.quota_tracker.flush()
    assert used_by(client, team) == ONCE


def test_a_stream_of_langchain_that_is_left_early_is_told_of(client, model):
    callback = langchain_callback(client=client, team="lc-left")
    stream = langchain_claude(model, callbacks=[callback]).stream("Is all well? " * 20)
    next(stream)
    next(stream)
    stream.close()
    callback.quota_tracker.flush()
    used = used_by(client, "lc-left")
    assert (used["input"] > 60, used["output"], used["calls"]) == (True, 1, 1)


@pytest.mark.parametrize("watch", ["track", "callback"])
def test_an_input_that_langchain_does_not_hand_on_is_estimated(client, model, watch):
    team = f"lc-unsaid-{watch}"
    llm = langchain_claude(model, SAYS_INPUT_FIRST)
    callback = langchain_callback(client=client, team=team)
    llm = client.track(llm, team=team) if watch == "track" else llm.with_config(callbacks=[callback])
    list(llm.stream("Is all well? " * 20))
    (callback if watch == "callback" else llm).quota_tracker.flush()
    used = used_by(client, team)
    assert (60 < used["input"] < 80, used["output"], used["calls"]) == (True, 7, 1)


def test_cache_writes_that_langchain_tells_apart_are_writes():
    details = {"cache_read": 40, "cache_creation": 0, "ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3}
    told = {"input_tokens": 150, "output_tokens": 7, "total_tokens": 157, "input_token_details": details}
    used = used_in(AIMessage("All is well.", usage_metadata=told))
    assert used.kinds == {"input": 100, "cache_read": 40, "cache_write_5m": 7, "cache_write_1h": 3, "output": 7}


def test_a_callback_refuses_a_call_that_no_longer_fits(client, model):
    spend(client, "lc-spent", 9.9999)
    seen(client, "lc-spent", 0.99)
    callback = langchain_callback(client=client, team="lc-spent", on_warning=lambda _: None)
    with pytest.raises(BudgetExhausted):
        (ChatPromptTemplate.from_messages(["{text}"]) | langchain_claude(model)).invoke(
            {"text": "Is all well?"}, config={"callbacks": [callback]}
        )
    assert model.models == []
