"""The four journeys, one file each, and what stands beside them.

ingest         a source's batch: priced, and handed to the journey
record         usage event in → ledger → windows
rebuild        windows from the ledger, before anybody looks
cycle          submit, renew, release, expire, reset, wake: one batch → one snapshot → decisions → one write
tick/          readings → alert step, every two seconds
deliver        outbox → receiver → delivered, retry, dead
apply_prices   what a usage or a ticket costs, before anything is counted
run_caps       runs that have passed their cap
operate/       what operators do by hand      queries/   what is asked and changes nothing
upkeep/        doctor, learning, pruning
"""
