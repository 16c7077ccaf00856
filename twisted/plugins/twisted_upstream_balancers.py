"""
Balancers that come with twisted_upstream, each a L{Pointer} to the object that
C{balance/} defines.  Round robin has no directive: it is what groups have without one.
"""
