"""
Tests of the room with sockets and reactors.
"""
