"""Usage in: one small module per origin of usage records; each hands out ``core.ledger.source_batch.Batch`` values."""
