"""
Tests of passing a request to a group.
"""
