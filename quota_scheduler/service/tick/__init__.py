"""The tick: readings, forecasts and how good they were.

tick           the journey: snapshot, readings, alert step, one write
forecasts      which limits are forecast anew, and all of them in one go
verification   past forecasts against what came
analysis       runs, workflows, caches and flags, every hour
quality        how closed windows treated work
"""
