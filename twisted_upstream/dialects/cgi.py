"""
What exchanges with FastCGI, uwsgi and SCGI servers have in common: a response whose
head has the form of CGI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.build import Block
from ..config.directive import Where
from ..config.values import Template
from ..interfaces import IInputFilter
from ..plugins import Exchange
from ..upstream.options import PassOptions, nextUpstreamDirective, passDirective
from ..upstream.retry import CGI_WORDS
from ..wire.body import Length, UntilClose
from ..wire.cgi import parseResponse
from ..wire.head import ResponseHead
from ..wire.response1 import HTTP1Response
from .params import ParamOptions, Params

_HIDDEN = (
    b"status",
    b"x-accel-expires",
    b"x-accel-redirect",
    b"x-accel-limit-rate",
    b"x-accel-buffering",
    b"x-accel-charset",
)

READING = "reading response header from upstream"


@dataclass(frozen=True, kw_only=True, slots=True)
class CGIPassOptions(PassOptions):
    """
    The options that FastCGI, uwsgi and SCGI have in common with HTTP.
    """

    target: Template | None = passDirective(Where.LOCATION | Where.IF)
    nextUpstream: tuple[int, ...] = nextUpstreamDirective(CGI_WORDS)
    hidden: tuple[bytes, ...] = _HIDDEN


class CGIPass:
    """
    A C{*_pass} of one location, with all that goes with it, bound once.
    """

    def __init__(self, block: Block, name: str, build: Any) -> None:
        """
        @raise ConfigError: an option is wrong.
        """
        passing = block.of(CGIPassOptions, name)
        self.bufferSize = passing.bufferSize
        self.passBody = passing.passRequestBody
        self.params = Params(
            block.of(ParamOptions, name).params, build, passing.passRequestHeaders
        )


class CGIExchange(Exchange):
    """
    One request whose response has the form of CGI.

    @cvar statusLine: may a status line of HTTP come first?
    """

    statusLine = False
    excessMessage = 'upstream sent more data than specified in "Content-Length" header'

    def __init__(self, options: Any, client: Any) -> None:
        self.options = options
        self.client: Any = client
        self.takesBody = options.passBody
        self.uri = client.uri

    @property
    def mayStream(self) -> bool:  # type: ignore[override]  # asked at most once
        """
        Only a body whose length is known: it is told before the body.
        """
        return self.takesBody and not self.client.head.chunked

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the fields.
        """
        response = parseResponse(
            data, self.options.bufferSize, statusLine=self.statusLine
        )
        return None if response is None else self.headOf(response)

    def headOf(self, response: HTTP1Response) -> ResponseHead:
        """
        What C{response} says, for the client.
        """
        status = response.status
        values = response.values
        for warning in response.warnings:
            self.client.logError("warn", warning, action=READING)
        # They are passed on, and ours fill in only where the server sent none.
        if b"date" in values:
            response.date = b""
        if b"server" in values:
            response.server = b""
        if self.client.method == b"HEAD" or status == 204 or status == 304:
            response.noBody = True
        return response

    def inputFilterInit(self, head: ResponseHead) -> IInputFilter:
        """
        A body up to its length, or to the end of the connection.
        """
        if head.noBody:
            return Length(0)
        if head.contentLength is None:
            return UntilClose()
        return Length(head.contentLength)
