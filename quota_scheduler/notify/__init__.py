"""Sends messages to people through Apprise, and says what the receiver answered.

    Message ──notifier──► one call in a thread of its own ──Apprise──► the receiver
                                      │                                   │
                 addresses: who is behind a receiver          answers: what came back, and what it means

Addresses of receivers hold tokens. They are never logged, answered or put into an error: Apprise's own log is kept to
itself (it prints addresses it cannot read), and every part of an address is blotted out of what a receiver says.
"""
