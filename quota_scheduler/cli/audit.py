"""``audit``: what was done by hand, by whom."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach


@click.command("audit")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, limit: int, as_json: bool) -> None:
    """Show what was done by hand: holds, changed limits, revoked leases, silences; newest first.

    \b
    Examples:
      quota-scheduler audit
      quota-scheduler audit --limit 10 --json
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.operate.holds import audit_document

        return audit_document(tx, limit)

    entries = reach.asked(config, f"/v1/audit?limit={limit}", of_file)["audit"]
    if as_json:
        reach.print_json(entries)
        return
    rows = [["AT", "WHO", "WHAT", "DETAIL"]]
    rows += [
        [
            reach.when(entry["at"], config.timezone),
            entry["who"],
            entry["what"],
            _detail(entry["detail"], config.timezone),
        ]
        for entry in entries
    ]
    reach.say(reach.table(rows) if entries else "Nothing was done by hand.")


def _detail(detail: dict[str, Any], zone: str) -> str:
    """What was done, as it would be typed."""
    texts = {name: reach.value_text(value, zone) for name, value in detail.items()}
    return ", ".join(f"{name}={text}" for name, text in texts.items() if text)
