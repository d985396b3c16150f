"""The file that ``config init`` writes."""

import json
from collections.abc import Sequence

from quota_scheduler.core.limits.proposing import Proposal

STARTER = """\
# Quota Scheduler. Nothing here is required: every line shows its default or an example.
# Check with `quota-scheduler config check`; all keys: docs/reference/config.md.
# ${VAR} and ${VAR:-default} are replaced from the environment, anywhere.

# Where the service listens. Any address but loopback needs tokens (below).
listen: 127.0.0.1:8484

# Days, weeks and months of limits start in this zone.
timezone: UTC

# Three slashes: beside this file. Four: absolute. Default: ~/.local/state/quota-scheduler/quota.db
#database: sqlite:///quota.db

# Claude Code transcripts on this machine. They name neither team nor account, so say it here.
sources:
  claude_code:
    enabled: true
    account: default
#    labels:
#      - {when: {cwd: "~/work/growth/**"}, set: {team: growth}}
#      - {when: {cwd: "~/cron/**"}, set: {team: platform, class: low}}

# What may be used: at most `amount` of a `unit` per `window`, for whatever `match` selects.
# `mode: warn` only counts what would have waited; remove the line to enforce.
limits:
  - id: anthropic-monthly
    match: {provider: anthropic}
    unit: tokens
    amount: 300M
    window: month
    mode: warn
  - id: run-cap
    per: run
    unit: tokens
    amount: 5M
    window: run
    mode: warn
#  - id: max-session
#    match: {account: default}
#    unit: tokens
#    amount: 40M
#    window: {session: 5h}
#  - id: team-daily
#    per: team
#    unit: usd
#    amount: 10
#    overrides: {sales: 25}
#    window: {every: day, timezone: Europe/Berlin}
#  - id: claude-runs
#    match: {provider: anthropic}
#    unit: leases
#    amount: 5

# Who is told. Addresses as Apprise has them; keep secrets in the environment.
#receivers:
#  - {id: ops, url: "${SLACK_URL:-json://localhost:9000/}", min_severity: warning}

# Who may use the service: viewer, runner or operator. sha256 of the token: printf %s TOKEN | sha256sum
#tokens:
#  - {name: ci, role: runner, sha256: 0000000000000000000000000000000000000000000000000000000000000000}
"""


MONTHLY = """\
  - id: anthropic-monthly
    match: {provider: anthropic}
    unit: tokens
    amount: 300M
    window: month
    mode: warn
"""
"""What stands in for a subscription's windows where none was seen."""
SEEN = """\
  # The windows of the subscriptions that were seen, in percent as their provider reports it. A weekly limit of 90
  # leaves a tenth to people.
"""


def starter_yaml(proposals: Sequence[Proposal] = ()) -> str:
    """A commented file that changes nothing: it says what holds without it.

    With proposals, limits in percent take the place of a number of tokens that nobody knows.
    """
    if not proposals:
        return STARTER
    return STARTER.replace(MONTHLY, SEEN + "".join(map(_written, proposals)))


def _written(proposal: Proposal) -> str:
    match = f"match: {{account: {json.dumps(proposal.account)}}}, " if proposal.account else ""
    why = proposal.why.translate({ord(sign): " " for sign in "\r\n"})
    return (
        f"  # {why}\n"
        f"  - {{id: {proposal.id}, {match}unit: percent, amount: 100, observed: {proposal.observed}, mode: warn}}\n"
    )
