"""PromQL that the dashboards share. Every selector narrows by job and replica.

*Snapshot* metrics are the same on every replica, hence ``max``; *live* ones are a part of the whole, hence ``sum``.
"""

FLEET = 'job=~"$job",instance=~"$instance"'
LIMITS = f'{FLEET},limit=~"$limits"'
"""The limits that are chosen. One alone has another name, so that a link from where all are chosen leads to one."""
ONE = f'{FLEET},limit="$limit"'
LASTS = 10**10
"""Seconds that stand for a limit that lasts: in a table it comes after all that do not."""
TOP = 10
"""Lines of a graph that can still be told apart."""
WORKFLOWS = f'{FLEET},workflow=~"$workflow"'
FORECAST = "quota_forecast_usage_ratio"
EXPECTED = ',estimate="expected"'
RATE, HOUR, DAY = "$__rate_interval", "1h", "1d"
ALIVE = f"max(quota_scheduler_snapshot_timestamp_seconds{{{FLEET}}})"
ZERO = f"0 * {ALIVE}"
"""Zero while the service is there: one that is down must not look like an all-clear."""
NONE = -1000
"""What ``otherwise`` says instead of nothing, far below any figure."""

WAITING = f"max by (class) (quota_queue_waiting{{{FLEET}}})"
"""Everybody who waits once, by class."""
WAITING_PEOPLE = f'time() - min(quota_queue_oldest_timestamp_seconds{{{FLEET},class="interactive"}})'
"""Seconds that the oldest ticket of the class has waited in which people sit and wait."""

STATES = ("open", "green"), ("throttled", "yellow"), ("paused", "orange"), ("exhausted", "red"), ("full", "dark-orange")
"""Throttle levels, and beside them that all leases of a limit run: that ends by itself, and holds whoever waits."""
FULL = 4
LEVELS = ("minimal", "green"), ("balanced", "yellow"), ("aggressive", "orange"), ("emergency", "red")
RISKS = ("unknown", "text"), ("low", "green"), ("medium", "yellow"), ("high", "orange"), ("critical", "red")


def alive(expr: str) -> str:
    """An expression while the service is there: growth over an hour would be zero for an hour after its end."""
    return f"({expr} and on () {ALIVE})"


def otherwise(expr: str, name: str = "") -> str:
    """An expression, or ``NONE`` while the service is there and nothing is found: then absence is no alarm.

    ``name`` stands where a limit's would, as the label ``none``, which no link takes for a limit.
    """
    none = f"{ZERO} - {-NONE}"
    return f"({expr} or on () ({_label(none, 'none', name) if name else none}))"


def _label(expr: str, label: str, value: str) -> str:
    return f'label_replace({expr}, "{label}", "{value}", "", "")'


def each(metric: str, matchers: str = LIMITS) -> str:
    """One series per label set of a snapshot metric, whatever the number of replicas."""
    return f"max without (instance) ({metric}{{{matchers}}})"


def most(metric: str, by: str, matchers: str = LIMITS) -> str:
    """The highest value of a snapshot metric, by some of its labels."""
    return f"max by ({by}) ({metric}{{{matchers}}})"


def by_limit(metric: str, extra: str = "", matchers: str = LIMITS) -> str:
    """One series per limit of a snapshot metric."""
    return most(metric, "limit", matchers + extra)


def time_left(metric: str, matchers: str = LIMITS) -> str:
    """Seconds until an instant of each limit, as long as it is to come."""
    return f"{by_limit(metric, '', matchers)} - time() > 0"


def used_up(matchers: str = LIMITS) -> str:
    """The limits of which nothing is left; all leases may run, and come back."""
    leases = by_limit("quota_leases_limit", "", matchers)
    return f"({by_limit('quota_usage_ratio', '', matchers)} >= 1) unless on (limit) {leases}"


def runs_out(matchers: str = LIMITS) -> str:
    """Seconds until each limit runs out, 0 where it has, ``LASTS`` where it does not; nothing without a forecast."""
    lasts = f"0 * {by_limit(FORECAST, EXPECTED, matchers)} + {LASTS}"
    return (
        f"0 * ({used_up(matchers)}) or {time_left('quota_forecast_exhaustion_timestamp_seconds', matchers)} or {lasts}"
    )


def one(metric: str, extra: str = "") -> str:
    """A snapshot metric of the limit that is shown."""
    return by_limit(metric, extra, ONE)


def in_its_unit(part: str, matchers: str = LIMITS, units: tuple[str, ...] = ("tokens", "usd", "requests")) -> str:
    """An amount of each limit in its own unit: a limit has exactly one of the three."""
    return " or ".join(by_limit(f"quota_{part}_{unit}", "", matchers) for unit in units)


def numbered(metric: str, label: str, values: tuple[tuple[str, str], ...], matchers: str = LIMITS) -> str:
    """Which of several values a limit is at, as a number: 0 for the first.

    While it changes, replicas that are scraped one after the other tell of two: the later one in ``values`` is shown.
    """
    parts = (f"{n} * {most(metric, f'limit, {label}', f'{matchers},{label}={v!r}')}" for n, (v, _) in enumerate(values))
    return f"max by (limit) ({' or '.join(parts)})".replace("'", '"')


def level(matchers: str = LIMITS) -> str:
    """The throttle level of each limit as a number, 4 where all of its leases run."""
    most_leases = by_limit("quota_leases_limit", "", matchers)
    full = f"0 * ({by_limit('quota_leases_active', '', matchers)} >= on (limit) {most_leases}) + {FULL}"
    levels = numbered("quota_state", "state", STATES[:FULL], matchers)
    return f"max by (limit) ({_label(full, 'state', 'full')} or {_label(levels, 'state', 'other')})"


def grown(metric: str, by: str, matchers: str = LIMITS, over: str = RATE) -> str:
    """How fast a snapshot counter grows, per second."""
    return f"max by ({by}) (rate({metric}{{{matchers}}}[{over}]))"


def summed(metric: str, by: str, matchers: str = FLEET, over: str = RATE) -> str:
    """How fast a live counter grows over all replicas, per second."""
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[{over}]))"


def lately(metric: str, by: str, matchers: str, over: str, how: str = "sum") -> str:
    """By how much a counter grew over a fixed span; ``how`` is max for snapshot counters."""
    return alive(f"{how} by ({by}) (increase({metric}{{{matchers}}}[{over}]))")


def quantile(q: float, histogram: str, by: str, over: str = RATE, matchers: str = FLEET) -> str:
    """A quantile of a live histogram by some of its labels; nothing where nothing was observed."""
    rate = f"sum by (le, {by}) (rate({histogram}_bucket{{{matchers}}}[{over}]))"
    found = f"histogram_quantile({q}, {rate}) >= 0"
    return found if over == RATE else alive(found)


def biggest(metric: str, by: str = "limit", matchers: str = LIMITS, *, choose: str = "topk", few: int = TOP) -> str:
    """A snapshot metric of the few where it is largest at the end of the time shown, or with bottomk smallest."""
    return f"{most(metric, by, matchers)} and on ({by}) {choose}({few}, {_last(metric, by, matchers)})"


def grown_most(expr: str, metric: str, by: str = "limit", matchers: str = LIMITS) -> str:
    """An expression of the few for which a snapshot counter grew most over the time that is shown."""
    growth = f"max by ({by}) (increase({metric}{{{matchers}}}[$__range] @ end()))"
    return f"{expr} and on ({by}) topk({TOP}, {growth})"


def _last(metric: str, by: str, matchers: str) -> str:
    return f"max by ({by}) (last_over_time({metric}{{{matchers}}}[$__range] @ end()))"


def restless(expr: str, metric: str, label: str, calm: str, few: int, or_else: str = "") -> str:
    """An expression of those limits that were not ``calm`` all the time, the most often so first.

    ``or_else`` finds limits that were not for another reason.
    """
    other = f'{metric}{{{LIMITS},{label}!="{calm}"}}'
    share = f"sum by (limit) (max without (instance) (avg_over_time({other}[$__range] @ end()))) > 0"
    return f"{expr} and on (limit) topk({few}, {share}{f' or {or_else}' if or_else else ''})"


def was_full() -> str:
    """Limits all of whose leases ran at some time; the number only ranks them."""
    running = f"max by (limit) (max_over_time(quota_leases_active{{{LIMITS}}}[$__range] @ end()))"
    return f"0 * ({running} >= on (limit) {_last('quota_leases_limit', 'limit', LIMITS)}) + 0.5"


_RANKED = f"{_last(FORECAST, 'limit', LIMITS + EXPECTED)} or {_last('quota_usage_ratio', 'limit', LIMITS)} / 1e6"


def fullest(expr: str, most: int = TOP) -> str:
    """An expression, with the label ``limit``, for so many limits: those that are expected to be fullest at the reset.

    Limits without a forecast come after them, the fullest first. The choice is one for all of the time that is shown
    (``@ end()``), so that lines of different limits are never joined, and it looks back over all of that time, so that
    a service that is down at its end has a past nevertheless.
    """
    return f"{expr} and on (limit) topk({most}, {_RANKED})"
