"""Every command that the docs show is run, on the service as it is; what cannot be run says why not."""

from tests.docs.command_blocks import ROOT, Follower

FIRST = ROOT / "docs/tutorial/first-steps.md"


def test_the_tutorial(tmp_path):
    with Follower(tmp_path, serving=False, instead={"session: 1m": "session: 5s"}) as newcomer:
        newcomer.follow(FIRST, tmp_path)
