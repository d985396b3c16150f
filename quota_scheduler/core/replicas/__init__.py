"""Several processes on one database: who leads, who is there, and whether all decide by the same rules."""
