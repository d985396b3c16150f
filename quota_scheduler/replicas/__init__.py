"""What makes several processes one service: one leads, the others show what it computed and decide by its rules."""
