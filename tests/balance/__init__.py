"""
Tests of choosing a server.
"""
