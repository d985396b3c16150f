"""What providers say about their own windows, wherever it is written: one parser a door, all to the same two values."""
