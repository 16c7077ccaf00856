"""
Tests of twisted_upstream.
"""
