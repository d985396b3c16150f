"""A picture of everything on a terminal that one leaves open.

    asking ──► Facts ──┐
                       ├──► picture (lines, cut to the terminal) ──► screen: only lines that changed are written
    keys ────► View ───┘
              └──► Deed: asked for with its consequence, done when confirmed

asking      the service is asked in a thread of its own; what it said last stays, and ages
facts       what it said, and what o'clock it is there
words       spans, clocks, names and reasons as they are read at a glance
fan         a limit as a bar: used, reserved, where it ends, the pace
limits      the rows of limits, the one to run out next first
work        the rows of the queue, of leases and alerts
picture     the whole screen, by its size
view        where the reader is, and what each key does
deeds       what keys change, said before it is done
screen      the terminal: keys in, changed lines out, resize, suspend, the way back
"""
