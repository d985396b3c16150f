"""What could not be told: kept whole, told once, given back when nobody hears it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from quota_scheduler.client.errors import Refused, Unavailable
from quota_scheduler.client.spool import Spool


class Hearer:
    """Hears so many requests, then is away; refuses some."""

    def __init__(self, most: int = 100, refuses: str = "") -> None:
        self.heard: list[str] = []
        self.most, self.refuses = most, refuses

    def __call__(self, _method, path, _body):
        if len(self.heard) >= self.most:
            raise Unavailable("away")
        if path == self.refuses:
            raise Refused(422, "invalid_body", "no")
        self.heard.append(path)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "state" / "spool.jsonl")


def test_everything_is_told_in_order_and_once(spool):
    assert all(spool.put("POST", f"/{n}", {}) for n in range(3))
    hearer = Hearer()
    assert (spool.tell(hearer), hearer.heard, spool.tell(hearer)) == (3, ["/0", "/1", "/2"], 0)


def test_what_nobody_hears_goes_back(spool):
    for n in range(3):
        spool.put("POST", f"/{n}", {})
    assert spool.tell(Hearer(most=1)) == 1
    spool.put("POST", "/3", {})
    hearer = Hearer()
    spool.tell(hearer)
    assert sorted(hearer.heard) == ["/1", "/2", "/3"]


def test_what_is_refused_or_torn_keeps_nothing_else_from_being_told(spool):
    spool.put("POST", "/no", {})
    with spool.path.open("ab") as file:
        file.write(b'["POST", "/torn", {"a\n')
    spool.put("POST", "/yes", {})
    hearer = Hearer(refuses="/no")
    spool.tell(hearer)
    assert (hearer.heard, spool.path.exists()) == (["/yes"], False)


def test_what_a_process_took_that_died_is_told_by_the_next(spool):
    spool.path.parent.mkdir()
    left = spool.path.with_name("spool.jsonl.999999999")
    left.write_text(json.dumps(["POST", "/left", {}]) + "\n")
    hearer = Hearer()
    assert (spool.tell(hearer), hearer.heard, left.exists()) == (1, ["/left"], False)


def test_a_folder_that_cannot_be_written_is_no_error_of_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    assert Spool(tmp_path / "file" / "spool.jsonl").put("POST", "/", {}) is False
    assert Spool(None).put("POST", "/", {}) is False


def test_what_a_changed_token_keeps_from_being_told_is_told_with_the_next(spool):
    spool.put("POST", "/1", {})
    spool.put("POST", "/2", {})

    def refuses_the_token(_method, _path, _body):
        raise Refused(401, "unauthorized", "no such token")

    hearer = Hearer()
    assert (spool.tell(refuses_the_token), spool.tell(hearer), hearer.heard) == (0, 2, ["/1", "/2"])


def test_many_who_put_and_tell_at_once_lose_nothing_and_tell_nothing_twice(spool):
    hearer = Hearer(most=10_000)

    def put(writer):
        return all(Spool(spool.path).put("POST", f"/{writer}/{n}", {}) for n in range(40))

    with ThreadPoolExecutor(8) as pool:
        puts = [pool.submit(put, writer) for writer in range(4)]
        tellers = [pool.submit(tell_until, puts, spool, hearer) for _ in range(4)]
        assert all(future.result() for future in (*puts, *tellers))
    spool.tell(hearer)
    assert sorted(hearer.heard) == sorted(f"/{writer}/{n}" for writer in range(4) for n in range(40))


def tell_until(puts, spool, hearer):
    while not all(future.done() for future in puts):
        Spool(spool.path).tell(hearer)
    return True
