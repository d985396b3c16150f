"""What runs by itself, and on which of several replicas: whatever writes on a timer stands here, and why it runs there.

    leader          must happen once: it is computed from the database alone, tells the world, or deletes
    every replica   concerns this process, its files, or what it remembers
    followers       shows what the leader computed

The writer's own timer is no task: cycles run on every replica, one at a time by the database's lock, and whichever
comes first does what has fallen due. Every write of a leader's task goes through ``replicas.leading``, which refuses
it where another leads by now.
"""

from dataclasses import dataclass

from quota_scheduler.jobs import Where

READ, BILLS, TICK, DELIVER, COMMENTS = "read", "bills", "tick", "deliver", "comments"
LEARN, ENDS, RATES, PRUNE, LEAD, FOLLOW = "learn", "ends", "rates", "prune", "lead", "follow"
TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class TimedTask:
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
        TimedTask(PRUNE, Where.LEADER, "what is too old is deleted once"),
        TimedTask(TOKENS, Where.EVERY, "each has a tokens file of its own, and reads it again when it changes"),
        TimedTask(LEAD, Where.EVERY, "who leads renews, who does not takes over; each says that it is there"),
        TimedTask(FOLLOW, Where.FOLLOWERS, "the leader's readings and rules are taken over"),
    )
}
NAMES = tuple(TASKS)
"""Values of the label ``task``."""
