"""What is asked and changes nothing.

queue     the throttle queue in order, and what a plan would cost
usage     usage, runs and efficiency over days
history   recorded usage of limits and providers
alerts    alerts and silences
"""
