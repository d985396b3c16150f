"""What a token is bound to: the labels that everything it sends carries, and beyond which it sees nothing.

    claims nothing ──► filled in          claims the same ──► as it is          claims another ──► refused, one sentence

Names that a token makes up, keys and runs, are its scope's own: ``team=growth/nightly`` is not another team's
``nightly``. Sessions keep their names, because transcripts that are read elsewhere name them too.
"""

from typing import NamedTuple

from msgspec.structs import replace

from quota_scheduler.core.labels import UNASKED, Labels
from quota_scheduler.core.usage import UsageEvent

BINDABLE = ("account", "team", "project", "workflow", "task_type")
"""Labels that a token can be bound to: those that say on whose behalf. The agent is in no sum by hour."""


class Scope(NamedTuple):
    """The labels that a token is bound to, by name; none for everybody's."""

    bound: tuple[tuple[str, str], ...] = ()

    @property
    def is_bound(self) -> bool:
        """Whether it is anything but everybody's."""
        return bool(self.bound)

    @property
    def prefix(self) -> str:
        """What the names that it makes up begin with: ``team=growth/``; empty for everybody's."""
        return f"{','.join(f'{name}={value}' for name, value in self.bound)}/" if self.bound else ""

    def holds(self, labels: Labels) -> bool:
        """Whether work with these labels is its own."""
        return all(labels.value(name) == value for name, value in self.bound)

    def filled(self, labels: Labels) -> Labels | str:
        """The labels with what they do not claim filled in; a sentence where they claim to be of somebody else."""
        for name, value in self.bound:
            if labels.value(name) not in ("", UNASKED, value):
                return f"{name}: this token is bound to {name} {value!r}: leave it out, or send a token of the other"
        return labels._replace(**dict(self.bound)) if self.bound else labels

    def named(self, name: str) -> str:
        """A name as the service knows it; empty stays empty."""
        return f"{self.prefix}{name}" if name else ""

    def plain(self, name: str) -> str:
        """A name as who is bound gave it."""
        return name.removeprefix(self.prefix)

    def event(self, event: UsageEvent) -> UsageEvent | str:
        """A usage event as this scope may send it, its run one of its own; a sentence where it is somebody else's."""
        if not self.bound:
            return event
        labels = self.filled(event.labels)
        if isinstance(labels, str):
            return labels
        run = event.run if event.run == event.session else self.named(event.run)
        return replace(event, labels=labels, run=run)


EVERYBODY = Scope()
"""Of a token without labels, and where there are no tokens: everything is seen, nothing is filled in."""
