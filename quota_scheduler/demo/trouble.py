"""What ends a demo before its time."""


class DemoTrouble(Exception):
    """The demo cannot begin or go on; the message is one sentence with the way out."""
