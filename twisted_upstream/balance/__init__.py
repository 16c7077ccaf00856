"""
Choosing a server, for http and stream alike.
"""
