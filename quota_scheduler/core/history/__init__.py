"""What was used, added up by civil periods and by whatever a usage event carries.

asking     what somebody wants to see, from the words of a command line or a query
periods    civil hours, days, weeks and months of a zone as spans of whole UTC hours
history    rows in order, the largest of them, and the totals
"""
