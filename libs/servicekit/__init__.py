"""The one deep library of the suite: do, record, tell, once, for every service (README.md)."""
