"""
A request's way: to its server, to a location, through the phases there, and on to other
locations.

nginx: C{ngx_http_core_module.c}: C{ngx_http_handler()},
C{ngx_http_core_run_phases()}, C{ngx_http_core_find_location()},
C{ngx_http_internal_redirect()}, C{ngx_http_named_location()}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..wire.uri import UnsafeURI, splitSafe
from .reply import Reply

if TYPE_CHECKING:
    from ..wire.head import ResponseHead
    from .location import Location

#: How often a request may change its URI.  nginx: C{NGX_HTTP_MAX_URI_CHANGES}.
_CHANGES = 10

#: What X-Accel-Redirect keeps of the response that carried it.
_KEPT = re.compile(
    rb"\r\n(?:set-cookie|content-disposition|cache-control|expires|accept-ranges)"
    rb":[^\r]*",
    re.I,
)


class Journey(Reply):
    """
    Where a request is, and how it gets on.

    @ivar begun: when it began, in seconds.
    @ivar target: what stood between method and version: C{$request_uri}.
    @ivar uri: the path, decoded and normalised: C{$uri}.
    @ivar args: the query, as sent: C{$args}.
    @ivar validUnparsed: does C{target} still mean C{uri}?
    @ivar validLocation: does C{uri} still begin as the location's name?
    @ivar internal: did it come to its location by an internal redirect?
    @ivar uriChanges: how often its URI may still change.
    @ivar captures: the groups of the last regular expression that matched.
    @ivar waiting: stops what the request waits for before it is answered.
    """

    begun: float
    target = b""
    uri = b""
    args = b""
    validUnparsed = True
    validLocation = True
    internal = False
    uriChanges = _CHANGES + 1
    captures: Sequence[bytes | None] = ()
    addUriToAlias = False
    waiting: Any = None

    def start(self) -> None:
        """
        Find the server and answer.
        """
        connection = self.connection
        tls = connection.tls
        if tls is None:
            server = connection.address.find(self.head.host, self)
        else:
            server = tls.serverFor(self)
            if server is None:
                return
        if server is not self.server:
            self.server = server
            self.location = server.root
        if tls is not None and tls.refuses(self):
            return
        postRead = server.postRead
        if postRead is not None:
            postRead(self)
        if server.rewrite is None:
            self._locate()
        else:
            self.run()

    def run(self) -> None:
        """
        Go through the phases, from the server's C{rewrite} on.
        """
        server = self.server
        self.location = server.root
        self.validLocation = True
        rewrite = server.rewrite
        if rewrite is None or not rewrite(self):
            self._locate()

    def _locate(self) -> None:
        location = self.server.locations.find(self.uri, self)
        if location is None:
            # Nothing but the server itself.
            self.enter(self.server.root)
        elif location.internal and not self.internal:
            self.location = location
            self.failResponse(404)
        else:
            self.enter(location)

    def redirectToDirectory(self, location: Location) -> None:
        """
        The URI lacks the slash at its end that a location's name has.
        """
        self.location = location
        self.redirectTo = location.escapedName
        if self.args:
            self.redirectTo += b"?" + self.args
        self.failResponse(301)

    def enter(self, location: Location) -> None:
        """
        Go through the phases of a location.
        """
        self.location = location
        self.action = ""
        if location.limitExcept is not None:
            other = location.limitExcept(self.method)
            if other is not None:
                location = self.location = other
        connection = self.connection
        if self.keepalive and (
            connection.requests >= location.keepaliveRequests
            or not location.keepaliveTimeout
            or self.begun - connection.made > location.keepaliveTime
            or (
                (self.method == b"POST" or location.disablesAlways)
                and location.disablesKeepalive is not None
                and location.disablesKeepalive(self)
            )
        ):
            self.keepalive = False
        body = self.body
        if body is not None and not body.begun and location.maxBodySize:
            length = self.head.contentLength
            if length is not None and length > location.maxBodySize:
                self.logError(
                    "error",
                    f"client intended to send too large body: {length} bytes",
                )
                self.keepalive = False
                self.failResponse(413)
                return
        self._runPhases(location, location.phases)

    def _runPhases(
        self, location: Location, phases: Sequence[Callable[[Any], bool]]
    ) -> None:
        for phase in phases:
            if phase(self):
                return
            if self.location is not location:
                # A true "if" has moved the request, and its own phases count.
                self.enter(self.location)
                return
        location.content(self)

    def resumeAfter(self, phase: Callable[[Any], bool]) -> None:
        """
        Go on with the phases of the location that come after C{phase}, which has let
        the request wait.
        """
        self.waiting = None
        if not self._finished:
            location = self.location
            phases = location.phases
            self._runPhases(location, phases[phases.index(phase) + 1 :])

    # ---- on to another location -----------------------------------------------------

    def relocate(self) -> None:
        """
        The URI was changed in a location: look for the location again.
        """
        self.uriChanges -= 1
        if not self.uriChanges:
            self.logError(
                "error",
                "rewrite or internal redirection cycle while processing"
                f' "{self._shownURI()}"',
            )
            self.failResponse(500)
            return
        self.location = self.server.root
        self._locate()

    def internalRedirect(self, uri: bytes, args: bytes) -> None:
        """
        Answer as another URI would.
        """
        self.uriChanges -= 1
        self.uri = uri
        self.args = args
        if not self.uriChanges:
            self.logError(
                "error",
                "rewrite or internal redirection cycle while internally redirecting"
                f' to "{self._shownURI()}"',
            )
            self._finalError(500)
            return
        self.internal = True
        self.validUnparsed = False
        self.addUriToAlias = False
        self.run()

    def namedLocation(self, name: str) -> None:
        """
        Go on in C{location @name}.
        """
        self.uriChanges -= 1
        if not self.uriChanges:
            self.logError(
                "error",
                f'rewrite or internal redirection cycle while redirect to "{name}"',
            )
            self._finalError(500)
            return
        location = self.server.named.get(name)
        if location is None:
            self.logError("error", f'could not find named location "{name}"')
            self._finalError(500)
            return
        self.internal = True
        self.enter(location)

    def accelRedirect(self, value: bytes, head: ResponseHead) -> None:
        """
        A server said X-Accel-Redirect.

        nginx: ngx_http_upstream_process_headers()
        """
        kept = b"".join(_KEPT.findall(head.fields))

        def keep(head: ResponseHead) -> None:
            head.fields = kept + head.fields

        self.addEdit(keep)
        self._keptType = head.contentType
        self.isFirst = False
        self.upstream = None
        self.action = "reading response header from upstream"
        if value.startswith(b"@"):
            self.namedLocation(value.decode("utf-8", "surrogateescape"))
            return
        if self.method != b"HEAD":
            self.method = b"GET"
        try:
            uri, args = splitSafe(value)
        except UnsafeURI:
            shown = value.decode("utf-8", "replace")
            self.logError("error", f'unsafe URI "{shown}" was detected')
            self.failResponse(404)
            return
        self.internalRedirect(uri, args)

    def _finalError(self, status: int) -> None:
        self.uriChanges = 0
        self.failResponse(status)

    def _shownURI(self) -> str:
        return self.uri.decode("utf-8", "replace")
