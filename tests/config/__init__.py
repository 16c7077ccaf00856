"""
Tests of the configuration language.
"""
