"""The four journeys, one file each: record, cycle, recompute, deliver. Load, decide in the core, save, then tell."""
