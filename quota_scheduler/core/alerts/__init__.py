"""When somebody is told.

rule      a condition on one reading, and how it is told
samples   what a tick knows, as rules look at it
state     what has become of a rule for one scope and episode; silences; what is to be told
step      inactive, pending, firing, resolved: the state machine
routing   which receiver hears of what
notices   which transitions are told now, and which are not
wording   the words of a message
message   a message on its way, and what became of it
retries   when one that did not arrive is tried again, and when it is given up
"""
