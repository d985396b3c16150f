"""The demo: a dozen runners of three teams against the real service, in a folder that goes with it.

world       who works, how much, and which limits hold      values
folder      where everything lies, and that it goes again
transcripts three weeks of history, and what runs write     files as Claude Code writes them
child       the service, which dies with its demo           a process of its own
runners     threads that ask, wait, work and settle         the product's client
looking     what the service says, once in a while          HTTP
events      two looks in, what happened between them out    values
wording     the same in words
play        all of it, from the first line to the last
"""
