"""
Tests for L{twisted_upstream.process}.
"""
