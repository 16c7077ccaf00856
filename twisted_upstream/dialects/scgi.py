"""
C{scgi_pass}: the Simple Common Gateway Interface.

nginx: C{ngx_http_scgi_module.c}: C{ngx_http_scgi_create_request()},
C{ngx_http_scgi_process_header()}
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..interfaces import IDialect
from ..plugins import Dialect
from ..wire.head import ResponseHead
from ..wire.response1 import HTTP1Response
from .cgi import CGIExchange, CGIPass, CGIPassOptions
from .params import ParamOptions
from .switching import maySwitch


class UpgradingExchange(CGIExchange):
    """
    One request to a server that may answer with a status line, and switch protocols.
    """

    statusLine = True

    def headOf(self, response: HTTP1Response) -> ResponseHead:
        """
        What C{response} says.
        """
        head = super().headOf(response)
        if response.status == 101:
            head.upgrade = maySwitch(self.client, response.protocols)
        return head

    def bodyLength(self) -> int:
        """
        Bytes of the body that the server gets.
        """
        body = self.client.body
        if body is None or not self.takesBody:
            return 0
        length: int | None = body.size
        if not body.complete:
            length = self.client.head.contentLength
        return length or 0


class SCGIExchange(UpgradingExchange):
    """
    One request to an SCGI server.
    """

    scheme = b"scgi://"

    def createRequest(self) -> bytes:
        """
        The parameters as a netstring, the body's length first.
        """
        pairs = [(b"CONTENT_LENGTH", b"%d" % self.bodyLength())]
        pairs += self.options.params.of(self.client)
        text = b"".join([b"%b\0%b\0" % pair for pair in pairs])
        return b"%d:%b," % (len(text), text)


@implementer(IDialect)
class SCGIDialect(Dialect):
    """
    SCGI.
    """

    def __init__(self) -> None:
        super().__init__("scgi", SCGIExchange, ParamOptions, passOptions=CGIPassOptions)

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(SCGIExchange, CGIPass(block, self.name, build))


scgi = SCGIDialect()
