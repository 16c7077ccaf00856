"""
What all TLS of one configuration shares while it is built and used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .files import TLSFiles
from .handshake import Turns
from .options import TLSFileOptions
from .server import Compile, ServerTLS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ..config.build import Block


class TLSBuild:
    """
    @ivar files: certificates and keys, each read once.
    @ivar turns: shares the reactor's time between handshakes and all else.
    @ivar compile: makes texts with variables into callables.
    """

    def __init__(
        self, block: Block, directory: str, clock: IReactorTime, compile: Compile
    ) -> None:
        """
        @param block: C{http} or C{stream}.
        @param directory: relative names are under it.
        """
        self.files = TLSFiles(directory, block.of(TLSFileOptions).inherits)
        self.turns = Turns(clock)
        self.compile = compile
        self.seconds = clock.seconds
        self._ocspCaches: dict[str, Any] = {}
        self._servers: dict[tuple[Block, str], ServerTLS] = {}

    def server(
        self, block: Block, kind: str, protocolNames: tuple[bytes, ...]
    ) -> ServerTLS:
        """
        The TLS of a virtual server, the same on all its addresses.

        @raise ConfigError: a file cannot be used, or OpenSSL refuses a setting.
        """
        key = (block, kind)
        found = self._servers.get(key)
        if found is None:
            found = self._servers[key] = ServerTLS(
                block,
                self.files,
                self.compile,
                self.seconds,
                ocspCaches=self._ocspCaches,
                kind=kind,
                protocolNames=protocolNames,
            )
        return found
