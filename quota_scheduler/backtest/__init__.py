"""Forecasts measured against the past.

    traces   recorded usage as cases: a window, an instant in it, what had been used and what came
    scores   how far off, how honest the intervals, how right the confidence
    chart    scores as bars in a terminal
    run      methods over a folder of traces, or over the own ledger

``forecast`` is the adapter that other programs call by name: ``quota_scheduler.backtest:forecast``.
"""

from quota_scheduler.backtest.run import forecast

__all__ = ["forecast"]
