"""What may be used, and until when.

thresholds   where levels, risk bands and optimization levels begin and end
schedule     spans of a window and their reset: calendar, anchored, session; the only place with civil time
limit        a rule: at most this much of a unit per window, for what its labels match
changes      run-time changes on top of the file, and how long they hold
renaming     which limits count the same: what ends a window, and what is only another name
"""
