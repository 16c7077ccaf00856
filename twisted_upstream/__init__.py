"""
nginx's upstream subsystem for Twisted.
"""
