"""How much a request may name, and how long it may ask for: plain numbers, that cost a start nothing."""

from datetime import timedelta

LARGEST = 10**10
"""Most tokens one event or report may name: ten times the largest real run; a billion such events do not overflow."""
LARGEST_FENCE = 2**63 - 1
"""As far as a database counts."""
MOST_MODELS = 100
"""Models that one report may name: each has a price to be found."""
LONGEST_TTL, LONGEST_WAIT = timedelta(days=7), timedelta(days=366)
DEFAULT_TTL = timedelta(hours=4)
"""For clients that never renew; those that do ask for less."""
LONGEST_POLL = 30.0
"""Seconds that one request may wait for a change of its ticket."""
FREE_SECONDS = 1.0
"""A question that was parked for so long is not counted as one: waiting for a turn is what runners are told to do."""
