"""What was used and is reserved, counted once.

deduplicate    the same event twice counts once; what grows is corrected by the difference
source_batch   what a source has read in one go, and how far it has read
metered        sums that programs report over and over, and what each report adds
pushed         what one request through a door hands to the journey
balance        one window of one limit instance: used, reported, reserved
open_windows   the windows of all instances: which one rules, counts or holds, how sessions begin
balances       the same while one journey moves amounts between them
settlement     a run is counted once, though its lease and its transcript both report
sessions       sessions in their place, in whatever order their uses came
booking        what a batch of usage events changes: the decision of service.record
rebuilding     windows filled from what the ledger knows
run_caps       runs that pass their cap
"""
