"""One batch, one decision.

requests   what a cycle may be asked: submit, read, renew, release, withdraw, revoke, hold, start
snapshot   what it is given, its working state, and what it gives back
leases     what running work says: reports, heartbeats, releases, and those that come too late
cycle      the four steps: fall due, settle, start, answer
answers    a ticket as it stands after the cycle, with its verdict and why
"""
