"""
Ours beside nginx and twisted.web.proxy, in one run: C{python -m benchmarks}.
"""
