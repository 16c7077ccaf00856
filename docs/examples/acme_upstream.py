"""
A balancer and a protocol of a third party.

Put this file into a folder C{twisted/plugins/} on Python's path, without an
C{__init__.py}.  Then C{failover;} may stand in C{upstream{}}, and C{resp_pass} in
C{location{}}.
"""

import re

from zope.interface import implementer

from twisted_upstream.interfaces import IPeerInit
from twisted_upstream.plugins import (
    Balancer,
    Dialect,
    Exchange,
    InvalidHead,
    ResponseHead,
    Trailed,
)


# ---- a balancer: always the first server that is available ----
@implementer(IPeerInit)
class Failover:
    def initUpstream(self, peers):
        self.peers = peers

    def initPeer(self, client):
        return self.peers.getter(lambda usable: usable[0])


failover = Balancer("failover", Failover)


# ---- a protocol: the value of a key from Redis ----
class RespGet(Exchange):
    scheme = b"resp://"
    reusable = True
    parseLength = re.compile(rb"\$(-1|\d{1,9})\r\n").match

    def createRequest(self):
        key = self.client.variable("resp_key")
        return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)

    def processHeader(self, data):
        found = self.parseLength(data)
        if found is None:
            if b"\n" in data or len(data) > 99:
                raise InvalidHead("upstream sent no value of Redis")
            return None
        if found[1] == b"-1":
            return ResponseHead(404, consumed=found.end(), contentLength=0)
        length = int(found[1])
        return ResponseHead(200, consumed=found.end(), contentLength=length)

    def inputFilterInit(self, head):
        return Trailed(head.contentLength, b"\r\n" if head.status == 200 else b"")


resp = Dialect("resp", RespGet)
