"""
What the text of a C{proxy_pass} says: where to, and what of the URI.

nginx: C{ngx_http_proxy_pass()}, C{ngx_http_proxy_set_vars()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.directive import Where
from ..upstream.options import PassOptions
from .redirects import PassUrl

if TYPE_CHECKING:
    from ..config.build import Block


class Target:
    """
    What the text of a C{proxy_pass} says.

    @ivar authority: C{host[:port]}, or C{unix:/path}.
    @ivar host: what C{$proxy_host} and the Host field say.
    @ivar port: C{$proxy_port}.
    @ivar uri: what follows; empty: nothing.
    @ivar secure: C{https}.
    @ivar secureName: whom a certificate must name then, perhaps with a port.
    @ivar usualPort: of the scheme.
    """

    __slots__ = (
        "authority",
        "host",
        "port",
        "secure",
        "secureName",
        "uri",
        "usualPort",
    )

    def __init__(self, text: bytes) -> None:
        """
        @raise ValueError: it is no URL of a server; the text is nginx's.
        """
        if text[:7].lower() == b"http://":
            self.secure, self.usualPort = False, 80
            rest = text[7:]
        elif text[:8].lower() == b"https://":
            self.secure, self.usualPort = True, 443
            rest = text[8:]
        else:
            raise ValueError("invalid URL prefix")
        usual = b"%d" % self.usualPort
        if rest[:5].lower() == b"unix:":
            path, _, self.uri = rest[5:].partition(b":")
            self.authority = b"unix:" + path
            self.host = b"localhost"
            self.port = b""
        else:
            found = re.search(rb"[/?]", rest)
            at = len(rest) if found is None else found.start()
            self.authority, self.uri = rest[:at], rest[at:]
            host, colon, port = self.authority.rpartition(b":")
            if colon and port.isdigit():
                self.port = port
                self.host = host if port == usual else self.authority
            else:
                self.port = usual
                self.host = self.authority
        if self.uri.startswith(b"?"):
            self.uri = b"/" + self.uri
        self.secureName = self.authority.removeprefix(b"unix:")


def passUrls(name: str) -> Callable[[Block], PassUrl | None]:
    """
    What tells of a block what its own C{*_pass} says.

    @param name: of the dialect.
    """

    def passUrl(block: Block) -> PassUrl | None:
        text = block.of(PassOptions, name).target
        if text is None:
            return None
        constant = text.constant
        if constant is None:
            return PassUrl(None, False, "")
        location = ""
        if block.where is Where.LOCATION and not block.node.words[0].startswith("~"):
            location = block.node.words[-1]
        try:
            hasUri = bool(Target(constant).uri)
        except ValueError:
            hasUri = False
        return PassUrl(text.text, hasUri, location)

    return passUrl
