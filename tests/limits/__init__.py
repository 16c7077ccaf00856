"""
Tests of limits.
"""
