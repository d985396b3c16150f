"""Who asks, and how much it will take.

ticket        a request to run something and the lease it gets; the states both go through
estimate      tokens expected of a task: declared, described, or guessed
run_history   what finished runs say about the next one of their kind
"""
