"""
C{upstream:NAME[:config=FILE]} for C{clientFromString}.
"""

from twisted_upstream.plugins import EndpointParser

upstream = EndpointParser("upstream", "twisted_upstream.embed.strings:parseClient")
