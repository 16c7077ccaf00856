"""
Tests of L{twisted_upstream.tls}.
"""
