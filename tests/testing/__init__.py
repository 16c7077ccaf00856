"""
Tests of what others test with.
"""
