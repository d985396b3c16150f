"""``mcp``: let an agent ask by itself."""

import importlib.util

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.elsewhere import named_url
from quota_scheduler.errors import QuotaSchedulerError

PATIENCE_SECONDS = 3.0
"""An agent that waits for a tool does nothing else: who is away is said soon."""


class NoLibrary(QuotaSchedulerError):
    """The SDK is not installed; the text says how."""

    code = "no_library"


@click.command("mcp")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of all that is asked, such as team=growth."
)
@click.pass_context
def command(ctx: click.Context, labels: tuple[str, ...]) -> None:
    """Serve status, forecast, preflight, lease, renew and release to an agent, over standard input and output.

    Agents start it themselves, from their MCP configuration. Leases taken through it are released when the agent
    disconnects. Needs pip install 'quota-scheduler[mcp]'.

    \b
    Examples:
      quota-scheduler mcp
      claude mcp add quota -- quota-scheduler mcp --label team=growth
    """
    if importlib.util.find_spec("mcp") is None:
        raise NoLibrary("this needs the MCP library: pip install 'quota-scheduler[mcp]'")
    from quota_scheduler.client import Client
    from quota_scheduler.client.ticket_body import LABELS
    from quota_scheduler.tools.desk import ToolDesk
    from quota_scheduler.tools.server import serve

    given: dict[str, str] = {}
    for label in labels:
        name, sign, value = label.partition("=")
        if not sign or name not in LABELS:
            raise click.UsageError(f"--label {label!r}: write NAME=VALUE, where NAME is one of {', '.join(LABELS)}")
        given[name] = value
    service = named_url(ctx)
    if not service:
        config = reach.config_of(ctx)
        service = f"{'https' if config.tls else 'http'}://{config.listen}"
    serve(ToolDesk(Client(service, patience=PATIENCE_SECONDS), given))
