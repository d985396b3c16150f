"""What may be used, and until when.

thresholds   where levels, risk bands and optimization levels begin and end
schedule     spans of a window and their reset: calendar, anchored, session; the only place with civil time
limit        a rule: at most this much of a unit per window, for what its labels match
changes      what a change of a limit means: at once, or a window that ends now
"""
