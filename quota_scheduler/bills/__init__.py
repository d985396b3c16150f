"""What providers say they have counted and charged: readers of their administration interfaces."""
