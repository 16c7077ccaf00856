"""
The configuration language: text to frozen options. Knows no feature, no reactor.
"""
