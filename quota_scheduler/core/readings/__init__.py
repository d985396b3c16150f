"""What is shown.

readings             one immutable set a tick: what gauges show and alerts look at
measure              readings of a limit from its window, its history and its forecast
burn                 how fast a window is used, over several lookbacks
throttle_level       open, throttled, paused, exhausted, with hysteresis
spending             what a team or a workflow has spent, and on what
scheduling_quality   how closed windows treated work
closed_windows       who used them, what ran, what waited
consumption          what was used over all windows, as counters, and what of it has no price
holders              what waits, and which limits hold it
runs                 large runs, their mean, what workflows used by day
documents            readings as documents that a database and an answer hold
"""
