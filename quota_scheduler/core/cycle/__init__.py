"""One batch, one decision.

requests   what a cycle may be asked: submit, read, renew, release, withdraw, revoke, hold, start, reclass
terms      what rules every cycle until somebody replaces it
needs      what has to be read for these requests
snapshot   what the cycle is given, frozen, in named parts
work       tickets, leases and the ledger as they stand meanwhile
due        1  what has fallen due
leases     2  what running work says: reports, heartbeats, releases, and those that come too late
starts     3  who may start
together   newcomers that all fit, decided as one
answers    4  a ticket as it stands after the cycle, with its verdict and why
closing    what tickets leave behind as they close
result     what the cycle gives back
cycle      the motion itself
"""
