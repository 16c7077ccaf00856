"""
TLS over sockets: contexts, handshakes, verification.  OpenSSL is imported when used.
"""
