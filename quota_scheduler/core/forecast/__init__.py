"""What will be used.

histories       what a limit has used, hour by hour, kept up to date
series          a history as days, and what is missing from it
level           where usage stands now, weekdays and volatility
day_model       windows of days: what is still to come
session_model   windows of hours, from past sessions
shape           the distribution between and beyond three quantiles, and its fan
calibration     intervals corrected by how past ones came true
project         all of it: a history and a window in, a forecast out
forecast        the forecast: usage at the reset with its interval, and what follows from it
risk            risk bands and spikes
outlook         what the admission test may know of the future
track_record    how good past forecasts were
baselines       what the method is measured against
"""
