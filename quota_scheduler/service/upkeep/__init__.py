"""What runs beside the journeys.

doctor   rebuilds what raw events cover, and compares
learn    what finished work says about the next; drops what is older than it is kept
"""
