"""The real SDKs of Anthropic and OpenAI under ``track``: counted once, warned, moved to a cheaper model, refused."""

import asyncio
import itertools
import json
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import anthropic
import openai
import pytest

from quota_scheduler.client import BudgetExhausted, BudgetWarning, Client, NotAdmitted, Unavailable
from tests.client.budgeted import CONFIG, HAIKU, OPUS, SONNET, seen, spend, used_by
from tests.client.model_server import ModelServer
from tests.system.service_process import Place, ServiceProcess, free_port

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")]
ASK = [{"role": "user", "content": "Is all well?"}]


def claude(model: ModelServer, kind: type = anthropic.Anthropic):
    return kind(base_url=model.url, api_key="none", max_retries=0)


def gpt(model: ModelServer, kind: type = openai.OpenAI):
    return kind(base_url=f"{model.url}/v1", api_key="none", max_retries=0)


def create(llm):
    return llm.messages.create(model=HAIKU, max_tokens=50, messages=ASK).content[0].text


def create_stream(llm):
    events = list(llm.messages.create(model=HAIKU, max_tokens=50, messages=ASK, stream=True))
    return "".join(event.delta.text for event in events if event.type == "content_block_delta")


def stream(llm):
    with llm.messages.stream(model=HAIKU, max_tokens=50, messages=ASK) as stream:
        return "".join(stream.text_stream)


def copied(llm):
    return create(llm.with_options(timeout=20))


def chat(llm):
    return llm.chat.completions.create(model="gpt-5-mini", messages=ASK).choices[0].message.content


def chat_stream(llm):
    chunks = llm.chat.completions.create(model="gpt-5-mini", messages=ASK, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def chat_stream_with_usage(llm):
    options = {"include_usage": True}
    chunks = list(llm.chat.completions.create(model="gpt-5-mini", messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].usage.completion_tokens == 7
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])


def responses(llm):
    return llm.responses.create(model="gpt-5-mini", input="Is all well?").output_text


def responses_stream(llm):
    events = llm.responses.create(model="gpt-5-mini", input="Is all well?", stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


@pytest.mark.parametrize(
    ("sdk", "call"),
    [
        pytest.param(claude, create, id="anthropic, one answer"),
        pytest.param(claude, create_stream, id="anthropic, events"),
        pytest.param(claude, stream, id="anthropic, its stream helper"),
        pytest.param(claude, copied, id="anthropic, a copy with other options"),
        pytest.param(gpt, chat, id="openai chat, one answer"),
        pytest.param(gpt, chat_stream, id="openai chat, chunks without usage"),
        pytest.param(gpt, chat_stream_with_usage, id="openai chat, chunks with usage"),
        pytest.param(gpt, responses, id="openai responses, one answer"),
        pytest.param(gpt, responses_stream, id="openai responses, events"),
    ],
)
def test_a_call_gives_what_it_gave_and_is_counted(client, model, request, sdk, call):
    team, plain = request.node.callspec.id.replace(" ", "-").replace(",", ""), sdk(model)
    llm = client.track(plain, team=team)
    assert isinstance(llm, type(plain))
    assert [call(llm), call(llm)] == ["All is well."] * 2
    llm.quota_tracker.flush()
    assert used_by(client, team) == {"input": 200, "read": 80, "write": 20, "output": 14, "calls": 2}


async def _acreate(llm):
    return (await llm.messages.create(model=HAIKU, max_tokens=50, messages=ASK)).content[0].text


async def _acreate_stream(llm):
    events = await llm.messages.create(model=HAIKU, max_tokens=50, messages=ASK, stream=True)
    return "".join([event.delta.text async for event in events if event.type == "content_block_delta"])


async def _astream(llm):
    async with llm.messages.stream(model=HAIKU, max_tokens=50, messages=ASK) as stream:
        return "".join([text async for text in stream.text_stream])


async def _achat(llm):
    return (await llm.chat.completions.create(model="gpt-5-mini", messages=ASK)).choices[0].message.content


async def _achat_stream(llm):
    chunks = await llm.chat.completions.create(model="gpt-5-mini", messages=ASK, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


async def _aresponses(llm):
    return (await llm.responses.create(model="gpt-5-mini", input="Is all well?")).output_text


@pytest.mark.parametrize(
    ("sdk", "kind", "call"),
    [
        pytest.param(claude, anthropic.AsyncAnthropic, _acreate, id="async anthropic one answer"),
        pytest.param(claude, anthropic.AsyncAnthropic, _acreate_stream, id="async anthropic events"),
        pytest.param(claude, anthropic.AsyncAnthropic, _astream, id="async anthropic stream helper"),
        pytest.param(gpt, openai.AsyncOpenAI, _achat, id="async openai chat"),
        pytest.param(gpt, openai.AsyncOpenAI, _achat_stream, id="async openai chat chunks"),
        pytest.param(gpt, openai.AsyncOpenAI, _aresponses, id="async openai responses"),
    ],
)
def test_a_call_of_an_asynchronous_client_is_counted(client, model, request, sdk, kind, call):
    team = request.node.callspec.id.replace(" ", "-")

    async def main():
        async with client.track(sdk(model, kind), team=team) as llm:
            said = await asyncio.gather(*(call(llm) for _ in range(3)))
            llm.quota_tracker.flush()
            return said

    assert asyncio.run(main()) == ["All is well."] * 3
    assert used_by(client, team) == {"input": 300, "read": 120, "write": 30, "output": 21, "calls": 3}


def leave_events(llm):
    with llm.messages.create(model=HAIKU, max_tokens=50, messages=ASK, stream=True) as events:
        for event in events:
            if event.type == "content_block_delta":
                return


def leave_helper(llm):
    with llm.messages.stream(model=HAIKU, max_tokens=50, messages=ASK) as stream:
        next(iter(stream.text_stream))


def leave_chunks(llm):
    next(llm.chat.completions.create(model="gpt-5-mini", messages=ASK, stream=True))


@pytest.mark.parametrize(
    ("sdk", "call", "used"),
    [
        pytest.param(claude, leave_events, (100, 40, 10, 1), id="left anthropic events"),
        pytest.param(claude, leave_helper, (100, 40, 10, 1), id="left anthropic helper"),
        pytest.param(gpt, leave_chunks, (12, 0, 0, 1), id="left openai chunks"),
    ],
)
def test_a_stream_that_is_left_early_counts_what_had_gone_by(client, model, request, sdk, call, used):
    team = request.node.callspec.id.replace(" ", "-")
    llm = client.track(sdk(model), team=team)
    call(llm)
    llm.quota_tracker.flush()
    names = ("input", "read", "write", "output", "calls")
    assert used_by(client, team) == dict(zip(names, (*used, 1), strict=True))


def test_a_call_counts_once_whoever_else_tells_of_it(client, model):
    llm = client.track(claude(model), team="once")
    create(llm)
    llm.quota_tracker.flush()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"provider": "anthropic", "at": now, "model": HAIKU, "input": 100, "cache_read": 40,
            "cache_write_5m": 10, "output": 7}  # fmt: skip
    events = [
        {**told, "key": f"req_{model.port}_1"},
        {**told, "key": f"msg:msg_{model.port}_1"},
        {**told, "key": f"req_{model.port}_1", "message": f"msg_{model.port}_1", "origin": "claude-code"},
    ]
    before = sum(row.tokens for row in client.usage_report(by=["provider"]))
    for event in events:
        client.record(event)
    assert sum(row.tokens for row in client.usage_report(by=["provider"])) == before
    assert used_by(client, "once") == {"input": 100, "read": 40, "write": 10, "output": 7, "calls": 1}


@pytest.mark.parametrize(
    ("warn_at", "spent", "warned"),
    [
        pytest.param(0.8, 7.9, 0, id="below-the-threshold"),
        pytest.param(0.8, 8.1, 1, id="above-the-threshold"),
        pytest.param(0.5, 5.5, 1, id="a-threshold-of-its-own"),
    ],
)
def test_a_team_is_warned_once_from_its_threshold_on(client, model, request, warn_at, spent, warned):
    team, budgets = request.node.callspec.id, []
    spend(client, team, spent)
    seen(client, team, spent / 10)
    llm = client.track(claude(model), team=team, warn_at=warn_at, on_warning=budgets.append)
    for _ in range(3):
        create(llm)
    assert [(budget.limit, round(budget.used, 1)) for budget in budgets] == [(f"team-daily/{team}", spent)] * warned


@pytest.mark.parametrize(
    ("options", "warned", "called"),
    [
        pytest.param({}, 1, None, id="as-the-service-says"),
        pytest.param({"warn_at": 1.0}, 0, None, id="own-threshold-first"),
        pytest.param({"at_limit": "go_on"}, 1, HAIKU, id="own-way-first"),
    ],
)
def test_thresholds_are_those_of_the_service_unless_the_tracker_has_its_own(
    client, model, service, request, options, warned, called
):
    team, budgets = f"by-{request.node.callspec.id}", []
    change = {"warn_at": {team: "99.5%"}, "at_limit": {team: "block"}}
    assert service.ask("PATCH", "/v1/limits/team-daily", change).status == 200
    spend(client, team, 9.9999)
    seen(client, team, 0.999)
    llm = client.track(claude(model), team=team, on_warning=budgets.append, fallback=(SONNET,), **options)
    llm.quota_tracker.budgets._typical[""] = {"input": 1_000, "output": 1_000}
    if called:
        create(llm)
    else:
        with pytest.raises(BudgetExhausted):
            create(llm)
    assert model.models == [called] * bool(called)
    assert [(budget.warn_at, budget.at_limit) for budget in budgets] == [(0.995, "block")] * warned


def test_a_team_that_used_nothing_yet_has_its_thresholds(client, service):
    service.ask("PATCH", "/v1/limits/team-daily", {"warn_at": {"early": "60%"}, "at_limit": {"early": "go_on"}})
    budget = client.remaining_budget("early")
    assert (budget.used, budget.warn_at, budget.at_limit) == (0, 0.6, "go_on")


def test_a_warning_is_pythons_own_where_nobody_takes_it(client, model):
    spend(client, "said", 9)
    seen(client, "said", 0.9)
    llm = client.track(claude(model), team="said")
    sentence = (
        rf"team said has used 90% of team-daily/said \(9 of 10 usd\): use {SONNET} in place of {OPUS} to make it last; "
        "at 100 % a cheaper model is called, or none"
    )
    with pytest.warns(BudgetWarning, match=sentence):
        ask_large(llm)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create(llm)


def ask_large(llm, model: str = OPUS):
    return llm.messages.create(model=model, max_tokens=50, messages=ASK)


@pytest.mark.parametrize(
    ("spent", "options", "called"),
    [
        pytest.param(5.0, {}, OPUS, id="room-for-the-model"),
        pytest.param(9.975, {}, SONNET, id="the-next-in-the-chain-fits"),
        pytest.param(9.991, {}, HAIKU, id="only-the-last-in-the-chain-fits"),
        pytest.param(9.975, {"fallback": (HAIKU,)}, HAIKU, id="a-chain-of-its-own"),
        pytest.param(9.975, {"at_limit": "block"}, None, id="told-to-block"),
        pytest.param(9.9999, {}, None, id="no-model-fits"),
        pytest.param(9.9999, {"fallback": (SONNET, HAIKU)}, None, id="none-of-its-own-chain-fits"),
        pytest.param(9.9999, {"at_limit": "go_on"}, OPUS, id="told-to-go-on"),
    ],
)
def test_a_call_that_no_longer_fits(client, model, request, spent, options, called):
    team = request.node.callspec.id
    spend(client, team, spent)
    llm = client.track(claude(model), team=team, on_warning=lambda _: None, **options)
    llm.quota_tracker.budgets._typical[""] = {"input": 1_000, "output": 1_000}  # $0.030, $0.018, $0.006
    if called is None:
        with pytest.raises(BudgetExhausted) as told:
            ask_large(llm)
        assert (told.value.team, told.value.limit, told.value.until is not None) == (team, f"team-daily/{team}", True)
    else:
        ask_large(llm)
    assert model.models == ([called] if called else [])


def test_a_budget_is_kept_to_by_many_calls_at_once(client):
    spend(client, "crowd", 9.9)
    seen(client, "crowd", 0.98)

    def call(*, model: str) -> SimpleNamespace:
        usage = SimpleNamespace(input_tokens=0, output_tokens=2_000)  # $0.01
        return SimpleNamespace(id=f"msg_{time.monotonic_ns()}", model=model, usage=usage)

    ask = client.track(call, team="crowd", provider="anthropic", on_warning=lambda _: None)
    outcomes = []

    def one(_number: int) -> None:
        try:
            ask(model=HAIKU)
            outcomes.append("called")
        except BudgetExhausted:
            outcomes.append("refused")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(60)))
    assert {"called", "refused"} == set(outcomes)
    assert outcomes.count("called") <= 10 + 8  # what fits, and a call each that were under way


def test_a_burst_far_from_the_limit_does_not_run_past_what_was_asked_about(client):
    spend(client, "burst", 7)
    seen(client, "burst", 0.7)
    calls = itertools.count()

    def call(*, model: str) -> SimpleNamespace:
        usage = SimpleNamespace(input_tokens=0, output_tokens=20_000)  # $0.10: thirty of them fit
        return SimpleNamespace(id=f"msg_burst_{next(calls)}", model=model, usage=usage)

    ask = client.track(call, team="burst", provider="anthropic", warn_at=1.0)
    ask(model=HAIKU)

    def ask_on() -> None:
        for _ in range(200):
            ask(model=HAIKU)

    with pytest.raises(BudgetExhausted):
        ask_on()
    assert next(calls) <= 30


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_service_that_is_away(model, tmp_path, fail):
    port, spool = free_port(), tmp_path / "spool.jsonl"
    client = Client(f"127.0.0.1:{port}", fail=fail, spool=spool)
    llm = client.track(claude(model), team="away")
    if fail == "closed":
        with pytest.raises(Unavailable):
            create(llm)
        assert model.models == []
        return
    began = time.monotonic()
    assert [create(llm) for _ in range(20)] == ["All is well."] * 20
    assert time.monotonic() - began < 10
    llm.quota_tracker.flush()
    told = [event for line in spool.read_text().splitlines() for event in json.loads(line)[2]]
    assert len({event["key"] for event in told}) == 20
    place = Place(tmp_path)
    place.config(CONFIG)
    with ServiceProcess(place, port=port) as service:
        service.ready()
        for _ in range(2):
            Client(f"127.0.0.1:{port}", spool=spool).lease(tokens=10).release()
        used = used_by(client, "away")
    assert used == {"input": 2_000, "read": 800, "write": 200, "output": 140, "calls": 20}


def test_what_an_operator_holds_is_no_spent_budget(client, model, service):
    llm = client.track(claude(model), team="held")
    assert service.ask("POST", "/v1/hold", {"reason": "incident 7"}).status == 200
    try:
        with pytest.raises(NotAdmitted) as told:
            create(llm)
        assert not isinstance(told.value, BudgetExhausted)
        assert told.value.reason == "held"
    finally:
        service.ask("POST", "/v1/hold", {"on": False})


def test_errors_of_the_sdk_come_through(client):
    llm = client.track(anthropic.Anthropic(base_url="http://127.0.0.1:9", api_key="none", max_retries=0), team="err")
    with pytest.raises(anthropic.APIConnectionError):
        create(llm)
    assert used_by(client, "err") is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"warn_at": 80}, "warn_at=80 is no share", id="a percentage for a share"),
        pytest.param({"at_limit": "stop"}, "at_limit='stop' is none of", id="a word that is none"),
        pytest.param({"colour": "red"}, "there is no label 'colour'", id="a label nobody knows"),
    ],
)
def test_what_cannot_be_meant(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client("http://127.0.0.1:9", spool=Path("/nonexistent")).track(print, **options)
