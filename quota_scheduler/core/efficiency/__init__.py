"""How well the quota was used.

runs           runs and workflows added up, their cache hit rate and success rate
cache          each workflow's cache hit rate against its own past, and what changed
flag_effect    what an optimization flag brought, matched by workflow, with an interval
trend          what the span before came to, so that a row says whether it got better
optimization   what is asked of runners, by how much of a limit is left
"""
