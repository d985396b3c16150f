"""``quota-scheduler`` and ``python -m quota_scheduler``: a glance and verbs beside an agent begin by themselves."""

import sys


def main() -> None:
    """Run a verb."""
    if sys.argv[1:2] in (["statusline"], ["hook"]):
        import os

        from quota_scheduler.aside.begin import options_of

        options = options_of(sys.argv[2:])
        if options is not None:
            if sys.argv[1] == "hook":
                from quota_scheduler.aside.hook import run
            else:
                from quota_scheduler.aside.statusline import run
            sys.exit(run(options, os.environ))
    if "status" in sys.argv[1:]:
        import os

        from quota_scheduler.glance.road import glanced

        if (status := glanced(sys.argv[1:], os.environ)) is not None:
            sys.exit(status)
    from quota_scheduler.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
