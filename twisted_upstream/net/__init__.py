"""
The only room with sockets and reactors.
"""
