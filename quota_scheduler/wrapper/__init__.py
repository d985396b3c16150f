"""``run``: a command under a lease. It asks, waits, runs, watches, and settles on every road out."""
