"""What runs by itself, and on which of several replicas: whatever writes on a timer stands here, and why it runs there.

    leader          must happen once: it is computed from the database alone, tells the world, or deletes
    every replica   concerns this process, its files, or what it remembers
    followers       shows what the leader computed

The writer's own timer is no task: cycles run on every replica, one at a time by the database's lock, and whichever
comes first does what has fallen due. Every write of a leader's task goes through ``replicas.leading``, which refuses
it where another leads by now.
"""

from msgspec import Struct

from quota_scheduler.jobs import Where

READ, BILLS, TICK, DELIVER, COMMENTS = "read", "bills", "tick", "deliver", "comments"
LEARN, ENDS, RATES, PRUNE, LEAD, FOLLOW = "learn", "ends", "rates", "prune", "lead", "follow"
TOKENS, SPOOL, SESSIONS = "tokens", "spool", "sessions"

DELIVER_SECONDS = 1.0
COMMENT_SECONDS = 1.0
ENDS_SECONDS = 10.0
LEARN_SECONDS = 60.0
RATES_SECONDS = 5.0
"""A first rate lets more start at once than a fixed part for each lease: it is worth looking often."""
PRUNE_SECONDS = 3600.0
SESSIONS_SECONDS = 5.0
"""How soon sessions are put in their place that a write left to be, since too much counts in them."""
SPOOL_SECONDS = 1.0
"""How soon after the database is back usage is recorded that lies in the spool."""
BILL_SECONDS = 15.0
"""How often is looked whether a provider's report is due."""
FOLLOW_SECONDS = 1.0
"""How old what a follower shows is, beside the leader's tick; and how soon it sees that a leader has resigned."""
TOKENS_SECONDS = 2.0
"""How often is looked whether the tokens file has changed: a token that was taken away ends that soon."""


class TimedTask(Struct, frozen=True):
    """Something that runs by itself: ``why`` it runs where it does."""

    name: str
    where: Where
    why: str


TASKS = {
    task.name: task
    for task in (
        TimedTask(READ, Where.EVERY, "transcripts lie on one host; an event counts once, whoever reads it"),
        TimedTask(BILLS, Where.LEADER, "a provider's report is asked for once"),
        TimedTask(TICK, Where.LEADER, "readings, forecasts and alert states are one, as is what follows from prices"),
        TimedTask(DELIVER, Where.LEADER, "a notification is sent once"),
        TimedTask(COMMENTS, Where.LEADER, "a comment is written once"),
        TimedTask(LEARN, Where.EVERY, "estimates are made where a ticket comes in; only looks"),
        TimedTask(ENDS, Where.EVERY, "expected ends serve explanations of this process; only looks"),
        TimedTask(RATES, Where.LEADER, "what a percent point costs is learned once, and read by all"),
        TimedTask(SESSIONS, Where.EVERY, "who leads puts sessions in their place; all know when they are"),
        TimedTask(PRUNE, Where.LEADER, "what is too old is deleted once"),
        TimedTask(TOKENS, Where.EVERY, "each has a tokens file of its own, and reads it again when it changes"),
        TimedTask(SPOOL, Where.EVERY, "what was pushed while the database was away lies on one host"),
        TimedTask(LEAD, Where.EVERY, "who leads renews, who does not takes over; each says that it is there"),
        TimedTask(FOLLOW, Where.FOLLOWERS, "the leader's readings and rules are taken over"),
    )
}
NAMES = tuple(TASKS)
"""Values of the label ``task``."""
