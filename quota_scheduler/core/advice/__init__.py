"""What would make the same work cost less, from what was recorded: never advice without runs that show it.

suggestion   one piece of advice: what, what it saves, how sure, and the runs that show it
models       a cheaper model or provider that does the same work as well
waste        by workflow: cache writes nobody reads, dear output, contexts that grew, runs beyond the cap's share
risks        limits whose forecast puts them at risk, and what helps at each band
suggest      all of it together with flags and exhaustions, the dearest first
"""
