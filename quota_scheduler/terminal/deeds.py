"""What keys change: said with its consequence before it is done."""

from dataclasses import dataclass
from typing import Any

from quota_scheduler.terminal.facts import Facts
from quota_scheduler.terminal.words import shown, whose


@dataclass(frozen=True, slots=True)
class Deed:
    """One request to the service; ``asks`` is what it will do, ``done`` what is said when it has been done."""

    method: str
    path: str
    body: dict[str, Any] | None
    asks: str
    done: str


def deed_of(key: str, pane: str, chosen: str, facts: Facts) -> Deed | str:
    """What a key would do to what is chosen; a sentence where there is nothing it could do."""
    if key == "H":
        return _hold_all(facts)
    ticket = next((row for row in facts.of_queue(pane) if row["id"] == chosen), None)
    if pane == "waiting" and ticket is None:
        ticket = next((row for row in facts.of_queue("offered") if row["id"] == chosen), None)
    if key == "a":
        return _acknowledge(chosen, facts) if pane == "alerts" else "a acknowledges an alert: Tab goes to them"
    if ticket is None:
        return f"{key} is for tickets: Tab goes to those that wait and run"
    name = shown(f"{ticket['id']} ({whose(ticket) or ticket['key']})")
    if key == "c":
        return _cancel(ticket, name, running=pane == "running")
    if pane == "running":
        return f"{name} runs already: c takes its lease away"
    return _hold(ticket, name) if key == "h" else _start(ticket, name)


def _hold_all(facts: Facts) -> Deed:
    waiting = len(facts.of_queue("waiting"))
    if facts.queue.get("hold") or facts.limits.get("hold"):
        asks = f"Let everything go on? {waiting} waiting tickets are decided again, and what fits starts at once."
        return Deed("POST", "/v1/hold", {"on": False}, asks, "Everything goes on.")
    running = len(facts.of_queue("running"))
    asks = f"Hold everything? Nothing new starts, for anybody, until H is pressed again. {running} running go on."
    return Deed("POST", "/v1/hold", {"on": True, "reason": "held from watch"}, asks, "Everything is held.")


def _hold(ticket: dict[str, Any], name: str) -> Deed:
    path, is_held = f"/v1/tickets/{ticket['id']}/hold", bool(ticket.get("on_hold"))
    if is_held:
        return Deed("POST", path, {"on": False}, f"Let {name} go on? It starts when it fits.", f"{name} goes on.")
    asks = f"Hold {name}? It keeps its place and does not start until h is pressed on it again."
    return Deed("POST", path, {"on": True, "reason": "held from watch"}, asks, f"{name} is held.")


def _start(ticket: dict[str, Any], name: str) -> Deed:
    asks = f"Start {name} now, whatever its limits say? It may use them up before others whose turn it is."
    return Deed("POST", f"/v1/tickets/{ticket['id']}/start", None, asks, f"{name} may start.")


def _cancel(ticket: dict[str, Any], name: str, *, running: bool) -> Deed:
    if running:
        asks = f"Take the lease of {name} away? Its runner is told to stop at its next renewal; what it used counts."
        return Deed("DELETE", f"/v1/leases/l{ticket['id'][1:]}", None, asks, f"The lease of {name} was taken away.")
    asks = f"Cancel {name}? It leaves the queue for good; its runner is told so."
    return Deed("DELETE", f"/v1/tickets/{ticket['id']}", None, asks, f"{name} was cancelled.")


def _acknowledge(chosen: str, facts: Facts) -> Deed | str:
    alert = next((row for row in facts.firing if str(row["id"]) == chosen), None)
    if alert is None:
        return "no alert fires"
    name = shown(f"alert {alert['id']}, {alert['rule']} of {alert['scope']}")
    if alert["acknowledged_by"]:
        return shown(f"{alert['acknowledged_by']} takes care of {name} already")
    asks = f"Acknowledge {name}? It is not repeated; its end is told."
    return Deed("POST", f"/v1/alerts/{alert['id']}/ack", {}, asks, f"Acknowledged: {name}.")
