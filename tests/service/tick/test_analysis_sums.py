"""What a tick adds up in the database, against the way it was done before: one object per rollup and per run."""

from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from quota_scheduler.core.efficiency.cache import (
    CacheReading,
    DayUsage,
    cache_baseline,
    cache_readings,
)
from quota_scheduler.core.efficiency.flag_effect import flag_readings
from quota_scheduler.core.readings.spending import cache_hits, causes, run_means
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent, total
from quota_scheduler.service.queries.usage import usage_document
from quota_scheduler.service.tick.tick import FIRST_PASS
from quota_scheduler.service.upkeep.learn import learned
from quota_scheduler.store import Transaction, facts, ledger, rollups, run_kinds, windows
from tests.builders import DAY, HOUR, MICRO, MINUTE, MONDAY, a_limit, a_usage_event
from tests.service.tick.ticking import House

LIMITS = [
    a_limit(10**12, id="month"),
    a_limit(10**12, id="teams", per="team", unit=Unit.USD),
    a_limit(10**9, id="calls", per="workflow", unit=Unit.REQUESTS),
]
LEAST = 400_000
SINCE, OLDEST = timedelta(hours=24), timedelta(days=16)


def some_events(rng: Random, count: int) -> list[UsageEvent]:
    """Usage of three weeks, in runs that last for hours, whose models and flags change."""
    events = []
    for _ in range(count):
        run, edge = rng.randrange(40), rng.choice([timedelta(0), SINCE, 7 * DAY, OLDEST])
        back = rng.choice([rng.random() * 21 * DAY, edge + rng.choice([-MICRO, 0 * MICRO, MICRO, 20 * MINUTE])])
        usage = Usage(*(rng.randrange(60_000) for _ in range(5)), requests=1, cost_microusd=rng.randrange(10**6))
        events.append(
            a_usage_event(
                key=f"e{rng.randrange(count)}", at=MONDAY - min(back, 21 * DAY), usage=usage,
                run=f"r{run}" if run else "", workflow=f"w{run % 4}", team=f"t{run % 3}", model=f"m{rng.randrange(3)}",
                flags=rng.choice([(), ("batching",)]), prompt_version=rng.choice(["", "v1", "v2"]),
                status=rng.choice(["", "completed", "failed"]), provider=rng.choice(["anthropic", "openai"]),
            )
        )  # fmt: skip
    return events


class OneByOne:
    """The old way: every rollup and every run of 16 days is read, and added up here."""

    def __init__(self, tx: Transaction, house: House) -> None:
        self.now, self.sets = tx.now, ledger.label_sets(tx)
        self.runs = ledger.runs_since(tx, tx.now - OLDEST)
        self.hours = ledger.hours(tx, tx.now - 40 * DAY)
        balances = windows.load(tx, house.limits, tickets=())
        self.bind = balances.instances

    def between(self, start, end):
        return [row for row in self.hours if start <= row[0] < end]

    def days(self, rows):
        return [DayUsage(self.sets[n][0].workflow, at.date(), usage, self.sets[n][0].provider) for at, n, usage in rows]

    def sums(self, rows):
        by_set = defaultdict(list)
        for _, number, usage in rows:
            by_set[number].append(usage)
        return [(number, total(usages)) for number, usages in sorted(by_set.items())]

    def caches(self) -> tuple[CacheReading, ...]:
        past, recent = self.between(self.now - OLDEST, self.now - SINCE), self.between(self.now - SINCE, self.now)
        return cache_readings(self.days(past), self.runs, lookback=self.days(recent), since=self.now - SINCE)

    def baselines(self):
        days = defaultdict(list)
        for at, number, usage in self.between(self.now - OLDEST, self.now - SINCE):
            for instance in self.bind(self.sets[number][0]):
                days[instance.name].append(DayUsage(instance.name, at.date(), usage))
        rates = {name: cache_baseline(rows, before=(self.now - SINCE).date()) for name, rows in days.items()}
        return {name: rate for name, rate in rates.items() if rate is not None}

    def hits(self, span):
        first = (self.now - span).replace(minute=0, second=0, microsecond=0)
        return cache_hits(self.sums(self.between(first, self.now + 99 * DAY)), self.sets, self.bind)

    def means(self):
        tokens = defaultdict(list)
        for run in self.runs:
            if run.last_at >= self.now - 7 * DAY:
                tokens[run.provider].append(run.usage.tokens)
        return {provider: sum(used) / len(used) for provider, used in sorted(tokens.items())}

    def instance_means(self, tx):
        by_set = defaultdict(list)
        for run, number in tx.rows("SELECT run, label_set FROM runs ORDER BY run"):
            by_set[run] = number
        rows = [(by_set[r.run], 1, r.usage) for r in self.runs if r.last_at >= self.now - 7 * DAY]
        return run_means(rows, self.sets, self.bind)


@pytest.mark.parametrize("seed", range(4))
def test_a_tick_says_what_single_rows_say(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    with House(tmp_path / "quota.db", LIMITS, high_usage_run=LEAST) as house:
        with house.store.transaction() as tx:
            facts.remember(tx, FIRST_PASS, (MONDAY - 9 * DAY).isoformat())
        house.clock.at = MONDAY + rng.choice([0 * MINUTE, 17 * MINUTE])
        for _ in range(3):
            house.record(some_events(rng, 150))
            readings = house.tick(2 * MINUTE)
        with house.store.reading() as tx:
            old = OneByOne(tx, house)
            means = old.instance_means(tx)
            wanted = {name for name in means if name.startswith("month")}
            month = causes(old.sums(old.between(MONDAY.replace(hour=0), MONDAY + DAY)), old.sets, old.bind, wanted)
        assert [(
            cache.workflow, cache.provider, cache.hit_rate, cache.baseline, cache.input_tokens, cache.changed
        ) for cache in readings.caches] == [
            (cache.workflow, cache.provider, cache.hit_rate, cache.baseline, cache.input_tokens, cache.changed)
            for cache in old.caches()
        ]  # fmt: skip
        assert readings.flags == flag_readings(old.runs, since=old.now - 7 * DAY)
        assert readings.facts["run_means"] == old.means()
        assert [run.run for run in readings.runs] == [
            run.run for run in old.runs if run.last_at >= MONDAY - 9 * DAY and run.usage.tokens >= LEAST
        ]
        baselines, hits = old.baselines(), {span: old.hits(at) for span, at in (("1d", SINCE), ("7d", 7 * DAY))}
        for limit in readings.limits:
            said, name = limit.spending, limit.limit
            assert said.cache_baseline == baselines.get(name)
            assert dict(said.cache_hits) == {span: rates[name] for span, rates in hits.items() if name in rates}
            assert (said.run_tokens, said.run_amount) == means.get(name, (None, None))
        assert {r.limit: r.spending.cause for r in readings.limits if r.limit == "month"} == {"month": month["month"]}
        assert all((readings.caches, readings.runs, readings.flags, baselines)), "or nothing was compared"


@pytest.mark.parametrize("seed", range(3))
def test_sums_by_day_and_by_run_hour_are_those_of_their_rows(tmp_path: Path, seed: int) -> None:
    rng = Random(100 + seed)
    with House(tmp_path / "quota.db", LIMITS) as house:
        for _ in range(4):
            house.record(some_events(rng, 120))
        with house.store.reading() as tx:
            hours = ledger.hours(tx, MONDAY - 99 * DAY)
            by_day, of_runs = defaultdict(Usage), defaultdict(list)
            for at, number, usage in hours:
                by_day[(at - MONDAY.replace(hour=0)) // DAY, number] = by_day[
                    (at - MONDAY.replace(hour=0)) // DAY, number
                ].plus(usage)
            epoch = int(MONDAY.timestamp()) // 86_400
            days = {(day - epoch, n): Usage(*rest) for day, n, *rest in tx.rows("SELECT * FROM rollup_days")}
            assert {slot: usage for slot, usage in days.items() if any(usage)} == {
                slot: usage for slot, usage in by_day.items() if any(usage)
            }
            for start, end in (
                (MONDAY - 9 * DAY - MICRO, MONDAY),
                (MONDAY - HOUR, MONDAY),
                (MONDAY - DAY, MONDAY + DAY),
            ):
                used = {n: usage for n, usage in rollups.used_between(tx, start, end) if any(usage)}
                expected = defaultdict(Usage)
                for at, number, usage in hours:
                    if start <= at < end:
                        expected[number] = expected[number].plus(usage)
                assert used == {n: usage for n, usage in expected.items() if any(usage)}
            for since in (MONDAY - 7 * DAY, MONDAY - 7 * DAY + MICRO, MONDAY - 3 * DAY - 11 * MINUTE):
                of_runs = defaultdict(list)
                for run in ledger.runs_since(tx, since):
                    of_runs[tx.scalar("SELECT label_set FROM runs WHERE run = ?", (run.run,))].append(run.usage)
                assert run_kinds.sums_since(tx, since) == [
                    (number, len(usages), total(usages)) for number, usages in sorted(of_runs.items())
                ]
            mix = defaultdict(Usage)
            for run in ledger.runs_since(tx, tx.now - 7 * DAY):
                mix[f"workflow:{run.workflow}"] = mix[f"workflow:{run.workflow}"].plus(run.usage)
            assert {name: usage for name, usage in learned(tx).mixes.items() if name.startswith("workflow:")} == mix
            assert tx.scalar("SELECT count(*) FROM run_hours WHERE runs <= 0") == 0


@pytest.mark.parametrize("by", [[], ["team"], ["day"], ["day", "workflow", "model"], ["account", "provider"]])
def test_a_summary_says_what_single_rows_say(tmp_path: Path, by: list[str]) -> None:
    with House(tmp_path / "quota.db", LIMITS) as house:
        house.record(some_events(Random(5), 200))
        with house.store.reading() as tx:
            sums = defaultdict(Usage)
            for day, labels, usage in ledger.by_day(tx, tx.now - 9 * DAY):
                slot = tuple(day if name == "day" else labels.value(name) for name in by)
                sums[slot] = sums[slot].plus(usage)
            rows = usage_document(tx, 9, by)["usage"]
    assert [(tuple(row[name] for name in by), row["tokens"], row["cost_usd"], row["requests"]) for row in rows] == [
        (slot, usage.tokens, usage.cost_usd, usage.requests) for slot, usage in sorted(sums.items())
    ]
