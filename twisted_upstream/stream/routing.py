"""
Listening addresses and virtual servers.

nginx: C{ngx_stream_core_srv_conf_t}, C{ngx_stream_addr_conf_t}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..maps.names import ServerNames

if TYPE_CHECKING:
    from ..logs.error_log import ErrorLog
    from .options import StreamOptions
    from .session import Session

#: A step of a session.  C{True}: it has ended the session, or will let it go on later
#: by L{Session.proceed}.
Phase = Callable[[Any], bool]


class StreamServer:
    """
    A virtual server.

    @ivar name: its first name.
    @ivar phases: L{POST_ACCEPT}, L{SETS}, L{LIMITS}, L{ACCESS}, L{TLS},
        L{PREREAD}: what
        happens to a session, or C{None}.  A session that changes its server goes on
        with the next one of the new server.
    @ivar content: what serves its sessions.
    @ivar logsInfo: is C{info} written to the error log?
    @ivar resolver: finds names that are known only per session.
    @ivar accessLogs: each writes a line.
    """

    __slots__ = (
        "accessLogs",
        "content",
        "errorLog",
        "logsInfo",
        "name",
        "options",
        "phases",
        "resolver",
    )

    def __init__(self, name: str, options: StreamOptions, errorLog: ErrorLog) -> None:
        self.name = name
        self.options = options
        self.errorLog = errorLog
        self.logsInfo = errorLog.enabled("info")
        self.phases: list[Phase | None] = [None] * PHASES
        self.content: Callable[[Any], None] = _noContent
        self.resolver: Any = None
        self.accessLogs: list[Callable[[Any], None]] = []


POST_ACCEPT, SETS, LIMITS, ACCESS, TLS, PREREAD = range(6)
PHASES = 6


def _noContent(session: Session) -> None:
    """
    nginx: C{ngx_stream_core_content_phase()}
    """
    session.finalize(500)


class StreamAddress(ServerNames[StreamServer]):
    """
    A listening address and its servers.

    @ivar name: as in logs: C{127.0.0.1:80}.
    @ivar proxyProtocol: do clients begin with a PROXY header?
    @ivar tls: a L{StreamAddressTLS<twisted_upstream.stream.gate.StreamAddressTLS>}
        where TLS, or a look at it, comes before the content; else C{None}.
    """

    def __init__(self, name: str, default: StreamServer) -> None:
        super().__init__(default)
        self.name = name
        self.proxyProtocol = False
        self.tls: Any = None
