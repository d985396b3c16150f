"""``python -m quota_scheduler``."""

from quota_scheduler.cli import main

main()
