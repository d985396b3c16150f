"""Plans: a file of tasks, run in order under leases, stopped before the quota is gone, resumed where they stopped."""
