"""What was used and is reserved, counted once.

deduplicate    the same event twice counts once; what grows is corrected by the difference
source_batch   what a source has read in one go, and how far it has read
balance        one window of one limit instance: used, reported, reserved
balances       all of them while one journey moves amounts between them
settlement     a run is counted once, though its lease and its transcript both report
"""
