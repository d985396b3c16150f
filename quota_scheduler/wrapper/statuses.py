"""Exit statuses that scripts and cron may rely on; those of the system's ``sysexits.h`` where it has one."""

UNAVAILABLE = 69
"""The service is away (EX_UNAVAILABLE): this says nothing about the work, and counts as no failed run."""
WAITS = 73
"""No room now: the work waits, and nobody wanted to wait longer. Nothing ran."""
LIMIT_HIT = 75
"""The quota ended during the run (EX_TEMPFAIL): ``paused_quota``; go on after the reset."""
NEVER = 77
"""It may never start as it is: too large, or its deadline has passed. Nothing ran."""
NOT_EXECUTABLE = 126
NOT_THERE = 127
"""No such command; found out before anything is reserved."""
BY_SIGNAL = 128
"""Added to the number of the signal that ended the command."""
