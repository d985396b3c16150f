"""The functional core: values and functions without effects; time always arrives as ``now``."""
