"""What providers say about their own windows: how much of each is used, and when it resets."""
