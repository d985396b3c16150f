"""A glance at a running service by the shortest road: no configuration is read, and next to nothing is loaded."""
