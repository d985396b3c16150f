"""What operators do, written down with who did it.

limits   change amounts and rules while the service runs, hold everything
alerts   silence and acknowledge
"""
