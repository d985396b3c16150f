"""The demo from its first line to its last: past, service, runners, and what the service says of them."""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quota_scheduler.client.errors import QuotaError
from quota_scheduler.client.transport import Transport
from quota_scheduler.demo import folder as folders
from quota_scheduler.demo import transcripts, wording, world
from quota_scheduler.demo.child import ServiceChild
from quota_scheduler.demo.ending import DemoEnding
from quota_scheduler.demo.events import Event, Story
from quota_scheduler.demo.looking import is_ready, look
from quota_scheduler.demo.runners import Crew
from quota_scheduler.demo.trouble import DemoTrouble

LOOK_SECONDS = 0.4
"""Between two looks at the service."""
READY_SECONDS = 30.0
"""A machine on which it takes longer to begin is too slow for windows of half a minute."""
SILENCE_SECONDS = 5.0
"""How long the service may give no answer before the demo says so and ends."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for. ``seconds`` 0: until told to end; ``keep``: a folder that stays, if any.

    ``variables`` are the environment that the service is started from.
    """

    host: str
    port: int
    seconds: float
    keep: str
    window: timedelta
    variables: Mapping[str, str]


def play(wishes: Wishes, say: Callable[[str], None], tell: Callable[[float, Event], None]) -> None:
    """Play the demo; ``say`` gets what is about the demo itself, ``tell`` each event with the seconds since the start.

    Raises DemoTrouble where it cannot begin or go on. Leaves nothing behind, whatever happens.
    """
    ending = DemoEnding()
    say(wording.FIRST)
    port = _port(wishes)
    folder = folders.make(wishes.keep)
    child = crew = None
    try:
        tokens = transcripts.write_history(folder / "claude", datetime.now(UTC), wishes.window)
        (folder / "quota.yaml").write_text(
            world.configuration(f"{_bracketed(wishes.host)}:{port}", wishes.window), encoding="utf-8"
        )
        with ending.held():  # a child that is just being born would belong to nobody
            child = ServiceChild(folder, wishes.variables, kept=bool(wishes.keep))
        url = f"http://{_bracketed(wishes.host)}:{port}"
        service = Transport(url, patience=SILENCE_SECONDS)
        _wait_until_ready(service, child)
        say(wording.ready(url, _has_page(service), tokens, wishes.window))
        crew = Crew(url, folder, wishes.window)
        crew.start()
        _watch(service, child, wishes.seconds, tell)
    except KeyboardInterrupt:
        pass
    finally:
        ending.ignored()
        if crew:
            crew.stop()
        if child:
            child.end()
        if not wishes.keep:
            folders.remove(folder)
    say(wording.last(folder if wishes.keep else None))


def _watch(service: Transport, child: ServiceChild, seconds: float, tell: Callable[[float, Event], None]) -> None:
    story, began = Story(), time.monotonic()
    while not seconds or time.monotonic() - began < seconds:
        time.sleep(LOOK_SECONDS)
        try:
            seen = look(service)
        except QuotaError as error:
            raise _gone(child, str(error)) from None
        for event in story.tell(seen):
            tell(time.monotonic() - began, event)


def _wait_until_ready(service: Transport, child: ServiceChild) -> None:
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends:
        if child.ended:
            raise _gone(child, "")
        try:
            if is_ready(service):
                return
        except QuotaError:
            pass
        time.sleep(0.05)
    raise DemoTrouble(
        f"the service was not ready within {READY_SECONDS:.0f} s: try again when the machine has less to do"
    )


def _gone(child: ServiceChild, silence: str) -> DemoTrouble:
    if child.ended:
        return DemoTrouble(f"the service has ended by itself; its last words were: {child.last_words}")
    return DemoTrouble(f"the service gives no answer any more ({silence}): start the demo again")


def _has_page(service: Transport) -> bool:
    """Whether there is a page to look at."""
    try:
        service.ask("HEAD", "/", patience=0.0)
    except QuotaError as error:
        return "404" not in str(error)
    return True


def _port(wishes: Wishes) -> int:
    """The port that is asked for, or a free one. Raises DemoTrouble where it is taken."""
    family = socket.AF_INET6 if ":" in wishes.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((wishes.host, wishes.port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise DemoTrouble(
            f"the demo cannot listen on {wishes.host}:{wishes.port} ({error.strerror}): "
            "leave --listen out and it takes a free port"
        ) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
