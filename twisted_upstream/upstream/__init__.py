"""
Passing a request or a stream to a group of servers.
"""
