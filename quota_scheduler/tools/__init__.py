"""Tools that agents call themselves (MCP): what is left, what fits, and the right to run, in a few words."""
