"""
Limits on what one client may do at a time, for http and stream.
"""
