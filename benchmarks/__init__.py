"""Timed comparisons, each with its command and its last table."""
