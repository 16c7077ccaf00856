"""
What is known of a request before its body, what it may look like, and why it is
refused.

nginx: ngx_http_request_t, ngx_http_headers_in_t, ngx_http_core_srv_conf_t
"""

from __future__ import annotations

import re

from .fields import firstValue

# Groups: request line, method, target, plain path and its arguments (or neither), minor
# version, fields.  A plain path needs no decoding.  Values are not empty, and have no
# spaces around them; they are matched up to their CR, because that is fast, and LF and
# NUL in them are looked for apart.
_LINE = (
    rb"(([A-Z_-][A-Z_-]*+) ("
    rb"((?=/)(?:/[^\x00-\x20\x7f%#?/.][^\x00-\x20\x7f%#?/]*+)*/?)"
    rb"(?:\?([^\x00-\x20\x7f#]*+))?(?= )"
    rb"|/[^\x00-\x20\x7f]*+) HTTP/1\.([01]))"
)
_FIELDS = rb"((?:\r\n%b%b*+: [^\r ][^\r]*+(?<! ))*)\r\n\r\n"

#: A whole request line of the same form.
matchLine = re.compile(_LINE).fullmatch


class RequestHead:
    """
    What a request says before its body.

    @ivar method: C{b"GET"}.
    @ivar target: the second word of the request line, as sent.
    @ivar path: C{target} without scheme and authority: nginx's C{$request_uri}.
    @ivar uri: the path, decoded and normalised.
    @ivar args: the arguments, as sent.
    @ivar quotedUri: something in the path was encoded.
    @ivar validUnparsed: C{path} can be passed on as it is.
    @ivar version: 9, 10 or 11; what is newer than 1.1 counts as 1.1.
    @ivar fields: the fields as a canonical block, see L{twisted_upstream.wire.fields}.
    @ivar ignored: lines that were dropped, to be logged at level C{info}.
    @ivar consumed: where the head ends in the data it was found in.
    @ivar requestLine: the request line without its end.
    @ivar host: the name asked for, in lower case, without port and last dot; of the
        target if it has one, else of Host.  C{None}: no name.
    @ivar port: the port that came with C{host}, as text; empty: none.
    @ivar contentLength: bytes of the body, if that was said.
    @ivar chunked: the body comes in chunks.
    @ivar keepalive: the client wants to use the connection again.
    @ivar expectContinue: the client waits for a word before it sends the body.
    @ivar upgrade: value of Upgrade, if there is one.
    """

    __slots__ = (
        "args",
        "chunked",
        "consumed",
        "contentLength",
        "expectContinue",
        "fields",
        "host",
        "ignored",
        "keepalive",
        "method",
        "path",
        "port",
        "quotedUri",
        "requestLine",
        "target",
        "upgrade",
        "uri",
        "validUnparsed",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        uri: bytes,
        args: bytes,
        quotedUri: bool,
        version: int,
        requestLine: bytes,
        fields: bytes = b"",
        consumed: int = 0,
        host: bytes | None = None,
        port: bytes = b"",
        contentLength: int | None = None,
        chunked: bool = False,
        keepalive: bool = False,
        expectContinue: bool = False,
        upgrade: bytes | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.uri = uri
        self.args = args
        self.quotedUri = quotedUri
        self.version = version
        self.requestLine = requestLine
        self.fields = fields
        self.consumed = consumed
        self.host = host
        self.port = port
        self.contentLength = contentLength
        self.chunked = chunked
        self.keepalive = keepalive
        self.expectContinue = expectContinue
        self.upgrade = upgrade
        self.validUnparsed = True
        self.ignored: tuple[bytes, ...] = ()

    @property
    def hostField(self) -> bytes | None:
        """
        Value of Host as sent, or C{None}.
        """
        return firstValue(self.fields, b"host")

    @property
    def connection(self) -> bytes | None:
        """
        Value of the first Connection, or C{None}.
        """
        return firstValue(self.fields, b"connection")

    @property
    def protocol(self) -> bytes:
        """
        C{b"HTTP/1.1"} as sent: nginx's C{$server_protocol}; empty for HTTP/0.9.
        """
        if self.version == 9:
            return b""
        return self.requestLine[self.requestLine.rindex(b"HTTP/") :]


class HeadLimits:
    """
    What requests may look like: of the server of a connection, before a request can
    name another.

    @ivar headerBufferSize: C{client_header_buffer_size}, bytes.
    @ivar largeBufferCount: C{large_client_header_buffers}, how many.
    @ivar largeBufferSize: C{large_client_header_buffers}, bytes of each.
    @ivar maxHeaders: C{max_headers}.
    @ivar ignoreInvalidHeaders: C{ignore_invalid_headers}: fields whose names have
        unusual characters are dropped.
    @ivar underscoresInHeaders: C{underscores_in_headers}: the underscore is usual.
    @ivar mergeSlashes: C{merge_slashes}.
    @ivar allowConnect: some server there takes CONNECT.
    @ivar safeSize: bytes of a head that can break no limit.
    """

    __slots__ = (
        "_validName",
        "allowConnect",
        "headerBufferSize",
        "hosts",
        "ignoreInvalidHeaders",
        "largeBufferCount",
        "largeBufferSize",
        "match",
        "maxHeaders",
        "mergeSlashes",
        "safeSize",
        "underscoresInHeaders",
    )

    def __init__(
        self,
        *,
        headerBufferSize: int = 1024,
        largeBufferCount: int = 4,
        largeBufferSize: int = 8192,
        maxHeaders: int = 1000,
        ignoreInvalidHeaders: bool = True,
        underscoresInHeaders: bool = False,
        mergeSlashes: bool = True,
        allowConnect: bool = False,
    ) -> None:
        self.headerBufferSize = headerBufferSize
        self.largeBufferCount = largeBufferCount
        self.largeBufferSize = largeBufferSize
        self.maxHeaders = maxHeaders
        self.ignoreInvalidHeaders = ignoreInvalidHeaders
        self.underscoresInHeaders = underscoresInHeaders
        self.mergeSlashes = mergeSlashes
        self.allowConnect = allowConnect
        safe = headerBufferSize
        if largeBufferCount and largeBufferSize > headerBufferSize:
            # The line that does not fit moves to a large buffer, and all others follow.
            safe = largeBufferSize
        # No field that the pattern below takes is shorter than six bytes.
        self.safeSize = min(safe, 6 * maxHeaders)
        characters = rb"A-Za-z0-9-"
        if underscoresInHeaders:
            characters += rb"_"
        self._validName = re.compile(rb"[" + characters + rb"]+").fullmatch
        name = rb"[" + characters + rb"]"
        if not ignoreInvalidHeaders:
            name = rb"[^\x00-\x20\x7f:]"
        self.match = re.compile(_LINE + _FIELDS % (name, name)).match
        #: Hosts that were validated: value of Host in lower case to name and port.
        self.hosts: dict[bytes, tuple[bytes, bytes]] = {}

    def drops(self, name: bytes) -> bool:
        """
        Is a field with this name dropped?
        """
        return self.ignoreInvalidHeaders and not self._validName(name)


class BadRequest(Exception):
    """
    A request that is refused.  The connection is of no more use.

    @ivar status: the status, perhaps one of nginx's own: 400, 405, 414, 494, 501, 505.
    @ivar reason: what nginx logs, at level C{info}.
    @ivar requestLine: the request line, as far as it came, without its end.
    @ivar head: what is known of the request; C{None}: the request line is wrong.  Its
        C{fields} may be empty, or lack those after the one that is wrong.
    """

    def __init__(
        self, status: int, reason: str, requestLine: bytes, head: RequestHead | None
    ) -> None:
        self.status = status
        self.reason = reason
        self.requestLine = requestLine
        self.head = head
        super().__init__(status, reason)
