"""
C{twistd upstream}.
"""

from twisted.application.service import ServiceMaker

upstream = ServiceMaker(
    "Twisted Upstream",
    "twisted_upstream.process.twistd",
    "Reverse proxy and load balancer that runs a configuration of nginx.",
    "upstream",
)
