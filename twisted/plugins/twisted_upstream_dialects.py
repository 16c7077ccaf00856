"""
Protocols that come with twisted_upstream.
"""

from twisted_upstream.interfaces import IDialect
from twisted_upstream.plugins import Pointer

proxy = Pointer(IDialect, "proxy", "twisted_upstream.dialects.proxy:proxy")
