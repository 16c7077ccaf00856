"""
Tests of the codecs.
"""
