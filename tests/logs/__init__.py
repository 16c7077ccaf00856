"""
Tests for L{twisted_upstream.logs}.
"""
