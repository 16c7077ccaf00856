"""
Protocols that a client request can be passed in. Bytes in, values out.
"""
