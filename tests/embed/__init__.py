"""
Tests for L{twisted_upstream.embed}.
"""
