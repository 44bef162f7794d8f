"""Measured side by side with peers in one process; `make bench`. Nothing here is asserted."""
