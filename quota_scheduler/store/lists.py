"""Lists as one parameter: the JSON of an array, so that a statement is the same for any length."""

NUMBERS = "(SELECT CAST(value AS BIGINT) FROM json_each(?))"
"""Behind ``IN``: whole numbers."""
TEXTS = "(SELECT CAST(value AS TEXT) FROM json_each(?))"
"""Behind ``IN``: texts."""
