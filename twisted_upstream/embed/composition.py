"""
From arguments, texts and files to a running group: what a configuration's way is, too,
but for everything that listens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from ..config.build import Block
from ..config.nodes import Document, Node
from ..http.build import HTTPBuild
from ..interfaces import ILogTarget
from ..logs.error_log import LEVELS
from ..logs.logs import Logs
from ..process.configuration import Configuration
from ..process.cycle import Cycle
from ..process.grammar import makeGrammar
from ..upstream.asker import Asker
from ..upstream.group import UpstreamGroup

#: Directives that are for those who serve, not for those who ask.
_SERVING = ("server", "access_log", "error_log")

_LEVELS = {
    number: (
        LogLevel.error
        if number <= LEVELS["error"]
        else LogLevel.warn
        if number <= LEVELS["warn"]
        else LogLevel.info
    )
    for number in LEVELS.values()
}


@implementer(ILogTarget)
class _LogTarget:
    """
    Lines of the error log as events of C{twisted.logger}.
    """

    _log = Logger(namespace="twisted_upstream.embed")

    def write(self, line: bytes, level: int) -> None:
        """
        Log one line, without its time: events have their own.
        """
        text = line.decode("utf-8", "replace").rstrip("\n")
        _, _, text = text.partition("#")
        _, _, text = text.partition(": ")
        self._log.emit(_LEVELS.get(level, LogLevel.info), "{text}", text=text)


class Composition:
    """
    The groups of one document.

    @ivar build: what was built of its C{http}.
    """

    def __init__(
        self,
        reactor: Any,
        document: Document,
        prefix: str = ".",
        dial: Callable[..., Callable[[], None]] | None = None,
    ) -> None:
        """
        @param dial: opens connections to servers; C{None}: sockets'.
        @raise ConfigError: with everything that is wrong.
        """
        self.grammar = makeGrammar()
        blocks = _withoutServing(document)
        root = self.grammar.build(Document(blocks, document.files, document.sources))
        configuration = Configuration(
            root=root,
            document=document,
            warnings=self.grammar.warnings,
            prefix=prefix,
            path=os.path.join(prefix, "upstream"),
        )
        self._logs = Logs(reactor, prefix, target=_LogTarget())
        self._cycle = Cycle(configuration, reactor, self._logs, dial)
        self.groups: dict[str, UpstreamGroup] = {}
        for build in self._cycle.builds:
            for group in build.groups:
                self.groups.setdefault(group.host, group)
                _obeyKeys(group)
            build.groups.start()

    @property
    def build(self) -> HTTPBuild:
        """
        What agents and resources are composed with.
        """
        [build] = [each for each in self._cycle.builds if isinstance(each, HTTPBuild)]
        return build

    @property
    def errorLog(self) -> Any:
        """
        Where errors of requests are told.
        """
        return self._logs.main

    def location(self, nodes: Sequence[Node]) -> Block:
        """
        A location with these directives.

        @raise ConfigError: with everything that is wrong.
        """
        location = Node("location", ("/",), block=tuple(nodes))
        server = Node("server", block=(location,))
        root = self.grammar.build(Document((Node("http", block=(server,)),)))
        return root.inner[0].inner[0].inner[0]

    def close(self) -> None:
        """
        Close idle connections, and stop all timers.
        """
        self._cycle.stop()


def _withoutServing(document: Document) -> tuple[Node, ...]:
    """
    The blocks that groups stand in; a text that has none is the inside of C{http}.
    """
    blocks = [each for each in document.nodes if each.name in ("http", "stream")]
    if not blocks:
        blocks = [Node("http", block=document.nodes)]
    if all(each.name != "http" for each in blocks):
        blocks.append(Node("http", block=()))
    kept = []
    for block in blocks:
        inner = tuple(each for each in block.block or () if each.name not in _SERVING)
        if not any(each.name == "map" and "$key" in each.words for each in inner):
            # A variable for texts that have no better one; see _obeyKeys.
            inner = (Node("map", ("", "$key"), block=()), *inner)
        kept.append(Node(block.name, block=inner))
    return tuple(kept)


def _obeyKeys(group: UpstreamGroup) -> None:
    """
    Let a group's method look at the keys that callers give, before what it is told to
    look at.
    """
    method: Any = group.method
    usual: Callable[[Any], bytes] | None = getattr(method, "key", None)
    if usual is None:
        return

    def key(client: Asker) -> bytes:
        return usual(client) if client.key is None else client.key

    method.key = key
