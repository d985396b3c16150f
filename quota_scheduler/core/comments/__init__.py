"""Comments: what people read at the issue that a ticket works on, kept as one comment that is edited in place.

place.py      which comment: repository, issue, workflow; and how it is known again
markdown.py   values of others, made harmless
wording.py    what it says
patience.py   when it may be written, and when again after it could not
"""
