"""Files of recorded usage: runs, or totals by day or hour, read with every flaw said."""
