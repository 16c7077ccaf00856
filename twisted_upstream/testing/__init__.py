"""
For tests of what uses this package: simulated time, simulated servers.
"""
