"""``limits ceilings``: what providers allow in a minute."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach

HEADS = ["PROVIDER", "ACCOUNT", "LIMITER", "VALUE", "FOR"]
LONGEST_GROUP = 60


@click.command("ceilings")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what providers allow in a minute, as their rate-limit reports say; how much is left they do not say.

    \b
    Examples:
      quota-scheduler limits ceilings
      quota-scheduler limits ceilings --json
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.keep_bills import ceilings_document

        return ceilings_document(tx)

    document = reach.asked(config, "/v1/ceilings", of_file)
    if as_json:
        reach.print_json(document)
        return
    if not document["ceilings"]:
        reach.say("No provider has said what it allows: add `bills` to the configuration (docs/reference/config.md).")
        return
    rows = [
        [one["provider"], one["account"], one["limiter"], f"{one['value']:,}", one["group"][:LONGEST_GROUP]]
        for one in document["ceilings"]
    ]
    reach.say(reach.table([HEADS, *rows], right=frozenset({3})))
