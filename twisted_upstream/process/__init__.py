"""
The only room that knows all others: command line, composition, signals.
"""
