"""The page that operators leave open: what it is told, and the files it is made of.

readings, alerts, queue ──state──► one document, kept for a moment for all who look ──► static/*.js draws it
                         changes ─► a line whenever there is something new

bundle     the modules as one script
first      the page with what it shows first, in two pieces
assets     the files of the page, read once: packed, tagged, and the policy under which a browser runs them
state      what the page shows, from the documents that the API answers elsewhere: no figure is made here
kept       a value for some moments: a hundred who look cost as much as one
static/    HTML, CSS, modules of JavaScript; no build step, no other host, no inline code
"""
