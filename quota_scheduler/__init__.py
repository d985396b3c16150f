"""Quota Scheduler: sees all usage, forecasts every window, decides who starts now and who waits."""

__version__ = "0.1.0"
