"""
Who asks a group where there is no client's connection: a plugin, or a program that
embeds us.

Balancers, variables, logs and the driver of requests see what they see of a client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..interfaces import IHTTPClient

if TYPE_CHECKING:
    from ..logs.error_log import ErrorLog
    from ..wire.head import ResponseHead
    from .attempt import Attempt
    from .request import UpstreamRequest


class AskerHead:
    """
    The request's head, as far as there is one.
    """

    __slots__ = ("contentLength", "fields", "host", "hostField", "path", "upgrade")

    chunked = False
    quotedUri = True
    connection: bytes | None = None
    port = b""
    version = 11

    def __init__(
        self,
        path: bytes,
        host: bytes | None,
        fields: bytes,
        contentLength: int | None,
    ) -> None:
        self.path = path
        self.host = self.hostField = host
        self.fields = fields
        self.contentLength = contentLength
        self.upgrade: bytes | None = None


class HeldBody:
    """
    A body that is there.
    """

    __slots__ = ("parts", "size")

    complete = True
    file = None

    def __init__(self, data: bytes) -> None:
        self.parts = [data]
        self.size = len(data)


@implementer(IHTTPClient)
class Asker:
    """
    One who asks.  A subclass takes the response:
    L{IReply<twisted_upstream.interfaces.IReply>}.

    @ivar key: what methods that hash are to hash, instead of what the configuration
        says; C{None}: that.  Groups must have been told to look at it.
    @ivar message: the error that was logged last.
    @ivar action: what was being done then.
    """

    __slots__ = (
        "_edits",
        "_errorLog",
        "_notes",
        "action",
        "address",
        "args",
        "attempts",
        "body",
        "exchange",
        "flushes",
        "head",
        "host",
        "key",
        "limitRate",
        "message",
        "method",
        "status",
        "target",
        "trailers",
        "upstream",
        "upstreamFields",
        "upstreamTrailers",
        "uri",
        "values",
    )

    version = 11
    captures: Sequence[bytes] = ()
    internal = True
    validUnparsed = False
    validLocation = False
    absoluteRedirect = False

    def __init__(
        self,
        method: bytes,
        uri: bytes,
        args: bytes,
        host: bytes | None,
        fields: bytes = b"",
        body: Any = None,
        errorLog: ErrorLog | None = None,
        values: Mapping[str, bytes] | None = None,
    ) -> None:
        """
        @param uri: the path, decoded.
        @param args: the query, as sent.
        @param fields: each with the CRLF before it.
        @param body: a L{HeldBody}, one that comes later, or C{None}.
        @param values: of variables, by name.
        """
        target = uri + b"?" + args if args else uri
        self.head = AskerHead(target, host, fields, None if body is None else body.size)
        self.method = method
        self.uri = uri
        self.args = args
        self.target = target
        self.host = host
        self.address = b""
        self.key: bytes | None = None
        self.values = values
        self.body = body
        self._notes: dict[Any, Any] | None = None
        self._edits: list[Callable[[ResponseHead], None]] | None = None
        self._errorLog = errorLog
        self.attempts: list[Attempt | None] | None = None
        self.upstream: UpstreamRequest | None = None
        self.exchange: Any = None
        self.status = 0
        self.limitRate: int | None = None
        self.trailers = self.upstreamFields = self.upstreamTrailers = b""
        self.message = self.action = ""

    @property
    def notes(self) -> dict[Any, Any]:
        """
        What features remember of this request.
        """
        notes = self._notes
        if notes is None:
            notes = self._notes = {}
        return notes

    @property
    def addressText(self) -> bytes:
        """
        C{$remote_addr}.
        """
        import socket

        family = {4: socket.AF_INET, 16: socket.AF_INET6}.get(len(self.address))
        if family is None:
            return b""
        return socket.inet_ntop(family, self.address).encode()

    def variable(self, name: str) -> bytes:
        """
        The value of C{$name}, if the request has brought it.
        """
        return b"" if self.values is None else self.values.get(name, b"")

    def takesPipes(self) -> bool:
        """
        Somebody looks at the body.
        """
        return False

    def hasErrorPage(self, status: int) -> bool:
        """
        There are no error pages.
        """
        return False

    def addEdit(self, edit: Callable[[ResponseHead], None]) -> None:
        """
        Let C{edit} change the head of the response.
        """
        if self._edits is None:
            self._edits = []
        self._edits.append(edit)

    def editHead(self, head: ResponseHead) -> None:
        """
        Let balancers change the head of the response, as they have asked for.
        """
        if self._edits is not None:
            for edit in reversed(self._edits):
                edit(head)

    def setLimitRate(self, value: bytes) -> None:
        """
        Nobody is slowed down here.
        """

    def takeRange(self, head: ResponseHead) -> bool:
        """
        Nobody asks for parts.
        """
        return True

    def logError(
        self, level: str, message: str, errno: int = 0, *, action: str = "", **more: Any
    ) -> None:
        """
        Write a line to the error log; what it says is the reason of a failure, too.
        """
        if level not in ("info", "notice", "warn", "debug"):
            self.message, self.action = message, action
        log = self._errorLog
        if log is not None and log.enabled(level):
            suffix = f" while {action}" if action else ""
            if more.get("upstream"):
                suffix += f', upstream: "{more["upstream"]}"'
            log.write(level, message, errno, 0, suffix)

    def sendInterim(self, head: ResponseHead) -> bool:
        """
        Only the final response counts.
        """
        return False

    def stop(self) -> None:
        """
        Nobody wants the response any more.
        """
        upstream, self.upstream = self.upstream, None
        if upstream is not None and not upstream.isOver:
            upstream.discard()
