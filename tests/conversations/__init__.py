"""
Whole requests, in memory, on a clock.
"""
