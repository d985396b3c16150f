"""Who goes first.

policy           how the queue is ordered and offered: every number is configuration
throttle_queue   all that waits, in groups, so that who fits is found without asking everybody
order            class, age, fair share, arrival
wake             a pass over the queue: who goes now
ramp             after a reset they start one after another
waiting          what waits for each limit, class by class
"""
