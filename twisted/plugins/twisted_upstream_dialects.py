"""
Protocols that come with twisted_upstream.
"""

from twisted_upstream.interfaces import IDialect
from twisted_upstream.plugins import Pointer

proxy = Pointer(IDialect, "proxy", "twisted_upstream.dialects.proxy:proxy")
fastcgi = Pointer(IDialect, "fastcgi", "twisted_upstream.dialects.fastcgi:fastcgi")
uwsgi = Pointer(IDialect, "uwsgi", "twisted_upstream.dialects.uwsgi:uwsgi")
scgi = Pointer(IDialect, "scgi", "twisted_upstream.dialects.scgi:scgi")
