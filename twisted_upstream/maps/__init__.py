"""
Variables computed from others, for http and stream.
"""
