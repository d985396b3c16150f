"""A backup of a service that works, and a restore under which nothing counts twice and no fence comes again."""

import json
import subprocess

import pytest

from tests.system.service_process import ServiceProcess, until

pytestmark = pytest.mark.system


def a_line(number, tokens):
    """A line of a transcript with usage."""
    message = {"id": f"msg_{number}", "model": "claude-sonnet-5", "usage": {"input_tokens": tokens, "output_tokens": 0}}
    stamp = "2026-11-23T09:00:00Z"
    return json.dumps({"type": "assistant", "requestId": f"req_{number}", "timestamp": stamp, "sessionId": "s",
                       "message": message}) + "\n"  # fmt: skip


@pytest.fixture
def transcript(place):
    path = place.home / ".claude/projects/p/s.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(a_line(1, 100))
    return path


def verb(place, *args):
    done = place.run(*args)
    return done.returncode, done.stdout + done.stderr


TICKET = {"labels": {"provider": "anthropic"}, "estimate": {"tokens": 1_000}}


def recorded(service):
    return service.recorded().get("input", 0)


def test_a_restore_counts_once_and_hands_no_fence_out_again(place, transcript):
    with ServiceProcess(place) as service:
        service.caught_up()
        assert recorded(service) == 100
        before = service.ask("POST", "/v1/tickets", {"key": "before"} | TICKET).body
        kept = place.home / "kept.db"
        assert verb(place, "backup", str(kept))[0] == 0
        with transcript.open("a") as file:
            file.write(a_line(2, 20) + a_line(3, 3))
        until(lambda: recorded(service) == 123, what="the new lines")
        since = service.ask("POST", "/v1/tickets", {"key": "since"} | TICKET).body
        status, said = verb(place, "restore", str(kept), "--yes")
        assert (status, f"is in use by process {service.process.pid}: stop it" in said) == (1, True)
        service.kill()
    status, said = verb(place, "restore", str(kept))
    assert (status, "this loses 2 events, 1 ticket (" in said, "nothing was changed: say --yes" in said) == (
        1,
        True,
        True,
    )
    status, said = verb(place, "restore", str(kept), "--yes", "--json")
    assert (status, json.loads(said)["events_lost"], json.loads(said)["tickets_lost"]) == (0, 2, 1)
    with ServiceProcess(place) as service:
        service.caught_up()
        until(lambda: recorded(service) == 123, what="the lines that were read again")
        held = before["lease"]
        renewed = service.ask("POST", f"/v1/leases/{held['id']}/renew", {"fence": held["fence"]})
        lost = since["lease"]
        unknown = service.ask("POST", f"/v1/leases/{lost['id']}/renew", {"fence": lost["fence"]})
        again = service.ask("POST", "/v1/tickets", {"key": "since"} | TICKET).body
        assert (renewed.status, unknown.status, again["verdict"]) == (200, 404, "admit")
        assert again["lease"]["fence"] > since["lease"]["fence"]
    assert verb(place, "doctor")[0] == 0


def test_backups_while_usage_pours_in_are_each_sound(place):
    with ServiceProcess(place) as service:
        service.ready()
        for number in range(6):
            events = [
                {
                    "provider": "anthropic",
                    "key": f"k{number}-{n}",
                    "at": "2026-11-23T09:00:00Z",
                    "input": 1,
                    "model": "m",
                }
                for n in range(1_000)
            ]
            under_way = subprocess.Popen(
                place.command("backup", str(place.home / f"b{number}.db"), "--json"), cwd=place.home,
                env=place.variables(), stdout=subprocess.PIPE,
            )  # fmt: skip
            assert service.ask("POST", "/v1/usage", events).status == 200
            out, _ = under_way.communicate(timeout=60)
            assert under_way.returncode == 0
            assert json.loads(out)["events"] in (number * 1_000, (number + 1) * 1_000)
            database = f"sqlite:///{place.home}/b{number}.db"
            assert verb(place, "--database", database, "doctor")[0] == 0
