"""
Balancers that come with twisted_upstream, each a L{Pointer} to the object that
C{balance/} defines; C{stream}: it may stand there, too.  Round robin has no directive:
it is what groups have without one.
"""

from twisted_upstream.interfaces import IBalancer
from twisted_upstream.plugins import Pointer

_BALANCE = "twisted_upstream.balance"

leastConn = Pointer(IBalancer, "least_conn", f"{_BALANCE}.load:leastConn", stream=True)
leastTime = Pointer(
    IBalancer, "least_time", f"{_BALANCE}.least_time:leastTime", stream=True
)
randomChoice = Pointer(
    IBalancer, "random", f"{_BALANCE}.load:randomChoice", stream=True
)
hashKey = Pointer(IBalancer, "hash", f"{_BALANCE}.hashing:hashKey", stream=True)
ipHash = Pointer(IBalancer, "ip_hash", f"{_BALANCE}.hashing:ipHash")
sticky = Pointer(IBalancer, "sticky", f"{_BALANCE}.sticky:sticky")
stickyCookieInsert = Pointer(
    IBalancer, "sticky_cookie_insert", f"{_BALANCE}.sticky:stickyCookieInsert"
)
sessionSticky = Pointer(
    IBalancer, "session_sticky", f"{_BALANCE}.session_sticky:sessionSticky"
)
vnSwrr = Pointer(IBalancer, "vnswrr", f"{_BALANCE}.vnswrr:vnSwrr")
iwrr = Pointer(IBalancer, "iwrr", f"{_BALANCE}.iwrr:iwrr")
consistentHash = Pointer(
    IBalancer, "consistent_hash", f"{_BALANCE}.tengine_hash:consistentHash"
)
persist = Pointer(
    IBalancer, "persist", f"{_BALANCE}.persist_directive:persist", stream=True
)
queue = Pointer(IBalancer, "queue", f"{_BALANCE}.queue:queue")
