"""Who may start: the one test.

headroom      the limits as the test sees them, each admission shrinking what the next one sees
decide        the test: admit, defer until an instant, or reject, always with a reason
explanation   why and until when, in words, and what would let it start sooner
preflight     the decision without the ticket
plan          the decision for a whole plan
"""
