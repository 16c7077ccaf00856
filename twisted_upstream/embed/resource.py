"""
A group as a part of a C{twisted.web} site: requests below a resource are passed to the
group's servers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from ..upstream.asker import HeldBody
from .answering import FileBody, ResourceRequest, refuse
from .arguments import ArgumentError
from .passing import Way

if TYPE_CHECKING:
    from .answering import SiteAsker
    from .upstream import Upstream

_climbs = re.compile(rb"[/\\]\.\.(?:[/\\]|\Z)").search
#: Fields that are made here, or are for one connection only, as headers write them.
_SPECIAL = frozenset(
    (
        b"Host",
        b"Connection",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"TE",
        b"Upgrade",
    )
)
_FORWARDED = frozenset((b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"))


@implementer(IResource)
class UpstreamResource:
    """
    Passes all requests below it to the servers of a group.
    """

    isLeaf = True

    def __init__(
        self,
        upstream: Upstream,
        path: bytes = b"",
        *,
        host: bytes | None = None,
        secure: bool = False,
        forwarded: bool = True,
        key: Callable[[Any], bytes] | None = None,
        **options: Any,
    ) -> None:
        """
        @param path: what stands before the rest of a request's path at the servers;
            paths that would leave it by C{..} are refused with 400.
        @param host: what servers are told; C{None}: what the client has said.
        @param secure: do the servers speak TLS?  Whom they have to be is said by
            C{sslName}, else by C{host}.
        @param forwarded: tell servers of the client, by X-Forwarded-For, -Proto and
            -Host.
        @param key: what methods that hash are to hash: takes the request.
        @param options: C{proxy_*} of a configuration, in camelCase and without
            C{proxy_}.
        @raise ArgumentError: an argument is wrong.
        @raise TypeError: there is no such argument.
        """
        if not isinstance(path, bytes) or (path and not path.startswith(b"/")):
            raise ArgumentError(f"path: neither empty nor beginning with /: {path!r}")
        if host is not None and not isinstance(host, bytes):
            raise ArgumentError(f"host: not bytes: {host!r}")
        if key is not None and not callable(key):
            raise ArgumentError(f"key: cannot be called: {key!r}")
        self.upstream = upstream
        self.errorLog = upstream.composition.errorLog
        self._path = path
        self._host = host
        self._secure = secure
        self._forwarded = forwarded
        self._key = key
        self._special = _SPECIAL | _FORWARDED if forwarded else _SPECIAL
        self._way = Way(upstream, options)
        # It knows us.
        from .shortcut import shorten

        self._shorten = shorten

    def getChildWithDefault(self, name: bytes, request: Any) -> IResource:
        """
        Everything below is the servers'.
        """
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        Nothing can be put here.
        """
        raise NotImplementedError("an upstream's resource has no children")

    def render(self, request: Any) -> int:
        """
        Pass a request on.
        """
        if self.upstream.isClosed:
            refuse(request, 502)
            return NOT_DONE_YET
        key = None if self._key is None else self._key(request)
        path, _, args = request.uri.partition(b"?")
        skipped = request.prepath
        if skipped or path[:1] != b"/":
            below = path.split(b"/")[1 + len(skipped) :]
            path = b"/" + b"/".join(below) if below else b""
        asking = ResourceRequest(self, request, _bodyOf(request.content))
        asking.key = key
        request.notifyFinish().addErrback(asking.gone)
        if type(request.channel) is HTTPChannel and type(self) is UpstreamResource:
            self._shorten(request.channel)
        fields = request.requestHeaders.getAllRawHeaders()
        self.begin(asking, path, args, fields, request)
        return NOT_DONE_YET

    def begin(
        self,
        asking: SiteAsker,
        below: bytes,
        args: bytes,
        fields: Iterable[tuple[bytes, Sequence[bytes]]],
        client: Any,
    ) -> None:
        """
        Ask the group.

        @param below: the rest of the path, as it was sent.
        @param fields: of the request; each name as C{Headers} write it.
        @param client: who knows its address, and whether it is secure.
        """
        path = self._path + below or b"/"
        asking.uri = uri = unquote_to_bytes(path) if b"%" in path else path
        if b".." in uri and self._path and _climbs(uri):
            # What stands before it is not to be left.
            asking.failResponse(400)
            return
        asking.args = args
        head = asking.head
        asking.target = head.path = path + b"?" + args if args else path
        named = upgrade = connection = b""
        through: list[bytes] = []
        lines: list[bytes] = []
        special = self._special
        for name, values in fields:
            if name not in special:
                for value in values:
                    lines += (b"\r\n", name, b": ", value)
            elif name == b"Host":
                named = values[-1]
            elif name == b"X-Forwarded-For":
                through += values
            elif name == b"Connection":
                connection = b",".join(values)
            elif name == b"Upgrade":
                upgrade = values[-1]
        asking.host = head.host = head.hostField = host = self._host or named
        asking.clientHost = getattr(client.getClientAddress(), "host", "") or ""
        if self._forwarded:
            through.append(asking.clientHost.encode())
            lines += (b"\r\nX-Forwarded-For: ", b", ".join(through))
            proto = b"https" if client.isSecure() else b"http"
            lines += (b"\r\nX-Forwarded-Proto: ", proto)
            if named:
                lines += (b"\r\nX-Forwarded-Host: ", named)
        if upgrade and b"upgrade" in connection.lower() and asking.maySwitch:
            head.upgrade = upgrade
            lines += (b"\r\nConnection: upgrade\r\nUpgrade: ", upgrade)
        head.fields = b"\r\nHost: " + host + b"".join(lines)
        asking.isSecure = self._secure
        try:
            self._way.begin(asking)
        # Whatever a balancer raises.
        except Exception:
            asking.end(Failure())

    @property
    def hasKey(self) -> bool:
        """
        Does it look at requests to know what to hash?
        """
        return self._key is not None


def _bodyOf(content: Any) -> HeldBody | FileBody | None:
    if content is None:
        return None
    if isinstance(content, BytesIO):
        data = content.getvalue()
        return HeldBody(data) if data else None
    content.flush()
    return FileBody(content, os.fstat(content.fileno()).st_size)
