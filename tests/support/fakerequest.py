"""
A request, a composition and a configuration for tests of phases: no connection, no
server, everything that happens to the request is written down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

from twisted_upstream.config.build import Block, Grammar
from twisted_upstream.config.directive import Where, directive, words
from twisted_upstream.config.regex import compileMatcher
from twisted_upstream.config.syntax import ConfigError, Node, Problem, parse
from twisted_upstream.config.zones import Zones
from twisted_upstream.variables import Variables
from twisted_upstream.wire.head import ResponseHead

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Structure:
    """
    The blocks of C{http{}}, and a directive that passes requests on.
    """

    http: Any = directive(
        "http", Where.MAIN, words, arity=(0, 0), default=None, opens=Where.HTTP, doc=""
    )
    server: Any = directive(
        "server",
        Where.HTTP,
        words,
        arity=(0, 0),
        default=(),
        repeat=True,
        opens=Where.SERVER,
        doc="",
    )
    location: Any = directive(
        "location",
        Where.SERVER | Where.LOCATION,
        words,
        arity=(1, 2),
        default=(),
        repeat=True,
        opens=Where.LOCATION,
        doc="",
    )
    proxyPass: Any = directive(
        "proxy_pass",
        Where.LOCATION | Where.IF | Where.LIMIT_EXCEPT,
        words,
        arity=(1, 1),
        default=None,
        inherit=False,
        doc="",
    )


def configure(text: str, *options: type[Any], prefix: str = "") -> Block:
    """
    Build the C{http{}} block around C{text}.

    @param options: the classes whose directives are known.
    @param prefix: what C{*} in their names stands for.
    @raise ConfigError: the text is wrong.
    """
    return configureWithWarnings(text, *options, prefix=prefix)[0]


def configureWithWarnings(
    text: str, *options: type[Any], prefix: str = ""
) -> tuple[Block, Sequence[Problem]]:
    """
    As L{configure}; answers the warnings too.
    """
    grammar = Grammar()
    grammar.add(Structure)
    for each in options:
        grammar.add(each, prefix)
    root = grammar.build(parse(f"http {{\n{text}\n}}", "t.conf"))
    return root.inner[0], grammar.warnings


def only(block: Block, *path: int) -> Block:
    """
    An inner block: the first of the first and so on, or by numbers.
    """
    for index in path:
        block = block.inner[index]
    return block


def messages(error: ConfigError) -> list[str]:
    """
    What is wrong, without file and line.
    """
    return [problem.message for problem in error.problems]


def run(phase: Callable[..., T], request: FakeRequest, *arguments: Any) -> T:
    """
    Call something that takes a request, with a fake one.
    """
    return phase(request, *arguments)


class FakeLocation:
    """
    The runtime object of a block, known by it.
    """

    def __init__(self, block: Block) -> None:
        self.block = block


class FakeBuild:
    """
    A composition: variables, and locations by their blocks.
    """

    def __init__(self, prefix: str = "/prefix/", now: float = 1_000_000_000.0) -> None:
        self.prefix = prefix
        self.now = now
        self.zones = Zones()
        self.variables = Variables()
        self.variables.add(
            {
                "uri": lambda request: request.uri,
                "args": lambda request: request.args,
                "request_uri": lambda request: request.target,
                "host": lambda request: request.host,
                "server_name": lambda request: b"localhost",
                "scheme": lambda request: b"http",
            }
        )
        self.variables.addSetter("args", self._setArgs)
        self.variables.addPrefix(
            "http_", lambda name: lambda request: request.field(name)
        )
        self.variables.addPrefix(
            "arg_", lambda name: lambda request: request.argument(name)
        )
        self.variables.addPrefix(
            "sent_http_", lambda name: lambda request: request.sent(name)
        )
        self.variables.addPrefix(
            "sent_trailer_", lambda name: lambda request: request.sentTrailer(name)
        )
        self._locations: dict[int, FakeLocation] = {}

    @staticmethod
    def _setArgs(request: Any, value: bytes) -> None:
        request.args = value

    def seconds(self) -> float:
        return self.now

    def compile(self, text: Any, node: Any = None) -> Any:
        return self.variables.compile(text, node)

    def compileMatcher(self, text: str, node: Node, ignoreCase: bool = False) -> Any:
        return compileMatcher(text, node, self, ignoreCase)

    def locationFor(self, block: Block) -> FakeLocation:
        return self._locations.setdefault(id(block), FakeLocation(block))

    def unknown(self) -> list[str]:
        """
        Variables that are used and that nobody defined.
        """
        return [m for error in self.variables.check() for m in messages(error)]


class FakeRequest:
    """
    A request: what phases read and change of it, and what they did with it.

    @ivar done: what happened, as tuples that begin with the name of a method.
    @ivar logged: level, message and errno of each line for the error log.
    """

    plannedStatus = 0
    isSubrequest = False

    def discardsBody(self) -> bool:
        """
        There is no body.
        """
        return True

    def isFiltered(self, head: ResponseHead) -> bool:
        """
        There are no filters.
        """
        return False

    def __init__(
        self,
        target: bytes = b"/",
        method: bytes = b"GET",
        fields: bytes = b"",
        build: FakeBuild | None = None,
        address: bytes = bytes((127, 0, 0, 1)),
        version: int = 11,
    ) -> None:
        self.target = target
        self.method = method
        self.version = version
        path, _, self.args = target.partition(b"?")
        self.uri = self._decode(path)
        self.head = SimpleNamespace(fields=fields)
        self.host = b"localhost"
        self.address = address
        self.realPeer: Any = None
        self.values: dict[str, bytes] = {}
        self.captures: tuple[bytes | None, ...] = ()
        self.location: Any = None
        self.internal = False
        self.validUnparsed = True
        self.validLocation = True
        self.addUriToAlias = False
        self.keepalive = True
        self.status = 0
        self.errorStatus = 0
        self.errorPage = False
        self.uriChanges = 11
        self.redirectTo: bytes | None = None
        self.errorFields = b""
        self.trailers = b""
        self.responseHead: ResponseHead | None = None
        self.build = build or FakeBuild()
        self.done: list[tuple[Any, ...]] = []
        self.logged: list[tuple[str, str, int]] = []
        self.body = b""

    @staticmethod
    def _decode(path: bytes) -> bytes:
        first, *rest = path.split(b"%")
        return first + b"".join(bytes.fromhex(r[:2].decode()) + r[2:] for r in rest)

    # -- what variables read

    def field(self, name: str) -> bytes | None:
        wanted = name.replace("_", "-").encode()
        found = [
            line.partition(b":")[2].strip()
            for line in self.head.fields.split(b"\r\n")
            if line.partition(b":")[0].lower() == wanted
        ]
        return b", ".join(found) if found else None

    def argument(self, name: str) -> bytes | None:
        for pair in self.args.split(b"&"):
            key, equals, value = pair.partition(b"=")
            if key == name.encode() and equals:
                return value
        return None

    def sent(self, name: str) -> bytes | None:
        fields = self.responseHead.fields if self.responseHead else b""
        return self._find(fields, name)

    def sentTrailer(self, name: str) -> bytes | None:
        return self._find(self.trailers, name)

    @staticmethod
    def _find(fields: bytes, name: str) -> bytes | None:
        wanted = name.replace("_", "-").encode()
        found = [
            line.partition(b":")[2].strip()
            for line in fields.split(b"\r\n")
            if line.partition(b":")[0].lower() == wanted
        ]
        return b", ".join(found) if found else None

    def variable(self, name: str) -> bytes:
        value: bytes = self.build.compile("${" + name + "}")(self)
        return value

    # -- what phases do

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        self.errorFields = fields
        self.done.append(("failResponse", status))

    def internalRedirect(self, uri: bytes, args: bytes) -> None:
        self.done.append(("internalRedirect", uri, args))

    def namedLocation(self, name: str) -> None:
        self.done.append(("namedLocation", name))

    def relocate(self) -> None:
        self.done.append(("relocate",))

    def cutResponse(self) -> None:
        self.done.append(("cutResponse",))

    def sendResponse(self, head: ResponseHead, body: bytes) -> None:
        if head.contentLength is None and not head.noBody:
            head.contentLength = len(body)
        self.responseHead = head
        self.body = body
        self.done.append(("sendResponse", head.status))

    def sendFile(self, head: ResponseHead, fd: int, offset: int, count: int) -> None:
        self.responseHead = head
        self.body = os.pread(fd, count, offset)
        os.close(fd)
        self.done.append(("sendFile", head.status))

    def changeAddress(self, host: str, port: int) -> None:
        self.realPeer = self.address
        self.done.append(("changeAddress", host, port))

    def logError(self, level: str, message: str, errno: int = 0) -> None:
        self.logged.append((level, message, errno))

    @property
    def response(self) -> ResponseHead:
        """
        The head that was sent.
        """
        assert self.responseHead is not None, "nothing was sent"
        return self.responseHead
