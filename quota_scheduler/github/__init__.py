"""GitHub's REST API: the few requests that keep one comment at an issue."""
