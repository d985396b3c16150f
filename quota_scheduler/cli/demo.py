"""``demo``: the whole service at work, with a dozen runners, in a folder that goes with it."""

import json
import os
import sys
from datetime import timedelta

import click


@click.command("demo")
@click.option("--seconds", type=click.FloatRange(0), default=0, help="End by itself after so many seconds; 0 is never.")
@click.option("--keep", default="", metavar="FOLDER", help="Keep database, transcripts and log in this folder.")
@click.option(
    "--window", type=click.FloatRange(10, 3600), default=30, show_default=True, help="Seconds that a window lasts."
)
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON, one event a line.")
@click.pass_context
def command(ctx: click.Context, seconds: float, keep: str, window: float, as_json: bool) -> None:
    """Watch a dozen runners of three teams share windows of half a minute, until Ctrl-C.

    The service, its data and the runners' transcripts live in a folder of their own, which is removed at the end; your
    configuration, data and agents are neither read nor changed.

    \b
    Examples:
      quota-scheduler demo
      quota-scheduler demo --seconds 90 --listen 127.0.0.1:9000
    """
    from quota_scheduler.demo import wording
    from quota_scheduler.demo.events import Event
    from quota_scheduler.demo.play import Wishes, play
    from quota_scheduler.demo.trouble import DemoTrouble

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    def tell(at: float, event: Event) -> None:
        facts = {"kind": event.kind, "seconds": round(at, 2), "at": event.at.isoformat(), **event.facts}
        click.echo(json.dumps(facts) if as_json else wording.line(at, event))

    host, port = _address(ctx.find_root().ensure_object(dict).get("listen", ""))
    try:
        play(Wishes(host, port, seconds, keep, timedelta(seconds=window), os.environ), say, tell)
    except DemoTrouble as trouble:
        click.echo(f"quota-scheduler: {trouble}", err=True)
        sys.exit(1)


def _address(text: str) -> tuple[str, int]:
    """Host and port; a free port of this machine where none is named. Raises UsageError."""
    host, _, port = text.rpartition(":")
    if not text:
        return "127.0.0.1", 0
    if not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"--listen {text!r}: write HOST:PORT, such as 127.0.0.1:9000")
    return host.strip("[]") or "127.0.0.1", int(port)
