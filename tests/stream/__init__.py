"""
Tests of the stream room.
"""
