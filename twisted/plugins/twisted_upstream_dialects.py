"""
Protocols that come with twisted_upstream.
"""

from twisted_upstream.interfaces import IDialect
from twisted_upstream.plugins import Pointer

fastcgi = Pointer(IDialect, "fastcgi", "twisted_upstream.dialects.fastcgi:fastcgi")
memcached = Pointer(
    IDialect, "memcached", "twisted_upstream.dialects.memcached:memcached"
)
proxy = Pointer(IDialect, "proxy", "twisted_upstream.dialects.proxy:proxy")
redis = Pointer(IDialect, "redis", "twisted_upstream.dialects.redis:redis")
scgi = Pointer(IDialect, "scgi", "twisted_upstream.dialects.scgi:scgi")
uwsgi = Pointer(IDialect, "uwsgi", "twisted_upstream.dialects.uwsgi:uwsgi")
