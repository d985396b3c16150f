"""What keys do: nothing is changed before it was said and confirmed."""

from typing import Any

import pytest

from quota_scheduler.terminal.facts import Facts
from quota_scheduler.terminal.screen import keys_in
from quota_scheduler.terminal.view import DOING, MOVES, View, on_key
from tests.terminal.documents import NOW, alert, limit, ticket

FACTS = Facts(
    "Here",
    {"at": NOW, "limits": [limit("a"), limit("b")]},
    {"at": NOW, "hold": None, "waiting": [ticket(1), ticket(2)], "offered": [], "running": [ticket(3)]},
    {"alerts": [alert(7)]},
    heard_at=0.0,
)


def pressed(keys: str, facts: Facts = FACTS) -> tuple[View, list[Any]]:
    view, done = View(), []
    for key in keys.split():
        view, deed = on_key(view, key, facts)
        done += [(deed.method, deed.path, deed.body)] if deed else []
    return view, done


@pytest.mark.parametrize(
    ("keys", "done"),
    [
        pytest.param(
            "tab h y", [("POST", "/v1/tickets/t1/hold", {"on": True, "reason": "held from watch"})], id="hold"
        ),
        pytest.param("tab j s y", [("POST", "/v1/tickets/t2/start", None)], id="start the second"),
        pytest.param("tab end c y", [("DELETE", "/v1/tickets/t2", None)], id="cancel the last"),
        pytest.param("tab tab c y", [("DELETE", "/v1/leases/l3", None)], id="take a lease away"),
        pytest.param("backtab a y", [("POST", "/v1/alerts/7/ack", {})], id="acknowledge"),
        pytest.param("H y", [("POST", "/v1/hold", {"on": True, "reason": "held from watch"})], id="hold everything"),
        pytest.param("tab c n", [], id="no is no"),
        pytest.param("tab c q", [], id="any other key is no"),
        pytest.param("tab c", [], id="nothing without a yes"),
        pytest.param("h y", [], id="a limit cannot be held"),
        pytest.param("tab tab s y", [], id="what runs cannot be started"),
        pytest.param("a y", [], id="a limit cannot be acknowledged"),
    ],
)
def test_what_keys_change(keys: str, done: list[Any]) -> None:
    assert pressed(keys)[1] == done


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("q", View(leaving=True), id="q leaves"),
        pytest.param("tab tab tab tab", View(), id="Tab goes round"),
        pytest.param("j j j", View(chosen={"limits": "b"}), id="down stops at the last"),
        pytest.param("j k k", View(chosen={"limits": "a"}), id="up stops at the first"),
        pytest.param("?", View(help=True), id="help"),
        pytest.param("? escape", View(), id="Escape goes back"),
        pytest.param("enter", View(detail=True), id="Enter tells more"),
        pytest.param("x é", View(), id="other keys do nothing"),
        pytest.param("h", View(note="h is for tickets: Tab goes to those that wait and run"), id="a key out of place"),
    ],
)
def test_where_keys_lead(keys: str, expected: View) -> None:
    assert pressed(keys)[0] == expected


def test_the_chosen_row_stays_chosen_when_rows_move() -> None:
    view, _ = pressed("tab j")
    moved = Facts("Here", {}, {"waiting": [ticket(2), ticket(9)], "offered": [], "running": []})
    _, deed = on_key(on_key(view, "c", moved)[0], "y", moved)
    assert deed is not None
    assert deed.path == "/v1/tickets/t2"


@pytest.mark.parametrize(
    "key", [pytest.param(key, id=key) for key in (*MOVES, *DOING, "q", "tab", "backtab", "?", "enter")]
)
def test_no_key_fails_while_nothing_is_there(key: str) -> None:
    on_key(on_key(View(), key, Facts("Here"))[0], "y", Facts("Here"))


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        pytest.param("jq", ["j", "q"], id="letters"),
        pytest.param("\x1b[A\x1bOB", ["up", "down"], id="both kinds of arrows"),
        pytest.param("\x1b", ["escape"], id="Escape alone"),
        pytest.param("\x1b[1;5Cq", ["q"], id="a sequence nobody knows is left out whole"),
        pytest.param("\t\x1b[Z\r", ["tab", "backtab", "enter"], id="Tab, Shift-Tab, Enter"),
        pytest.param("\x01\x02", [], id="control signs do nothing"),
    ],
)
def test_what_a_terminal_sends(sent: str, keys: list[str]) -> None:
    assert list(keys_in(sent)) == keys
