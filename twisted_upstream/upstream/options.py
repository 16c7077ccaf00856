"""
What C{upstream{}} and every C{*_pass} may be told.

The star in a name is a dialect's name: C{*_read_timeout} is C{proxy_read_timeout},
C{memcached_read_timeout} and so on.  nginx: the C{ngx_command_t} tables of
C{ngx_http_upstream.c} and of each protocol module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config.build import Block
from ..config.directive import (
    HTTP_ANY,
    InvalidValue,
    Where,
    countAndSize,
    directive,
    flag,
    number,
    oneOf,
    seconds,
    size,
    template,
    text,
    words,
)
from ..config.syntax import Node
from ..config.values import Template, parseSize
from ..plugins import PluginError
from .fields import HIDDEN
from .retry import HTTP_WORDS, MEMCACHED_WORDS, UnknownCondition, parseConditions

PAGE = 4096

#: Response fields that nginx acts upon and C{*_ignore_headers} may turn off.
IGNORABLE = {
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "Expires",
    "Cache-Control",
    "Set-Cookie",
    "Vary",
}


def _ignored(node: Node) -> frozenset[bytes]:
    known = {name.lower(): name for name in IGNORABLE}
    for word in node.words:
        if word.lower() not in known:
            raise InvalidValue(word, "")
    return frozenset(word.lower().encode() for word in node.words)


def nextUpstreamDirective(words: Mapping[str, int]) -> Any:
    """
    The field of a C{*_next_upstream} that knows these words.
    """

    def conditions(node: Node) -> int:
        for index, word in enumerate(node.words):
            if word.lower() in (each.lower() for each in node.words[:index]):
                node.warning(f'duplicate value "{word}"')
        try:
            return parseConditions(node.words, words)
        except UnknownCondition as e:
            raise node.error(str(e), word=e.index) from None

    return directive(
        "*_next_upstream",
        HTTP_ANY,
        conditions,
        arity=(1, None),
        repeat=True,
        default=(parseConditions(("error", "timeout")),),
        type=" | ".join(words) + " ...",
        doc="When another server is asked.",
    )


def _bind(node: Node) -> Template | None:
    if node.words[0] == "off":
        return None
    if len(node.words) == 2 and node.words[1] != "transparent":
        raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
    if len(node.words) == 2:
        raise node.error("transparent proxying is not supported on this platform")
    found: Template = template(node)
    return found


def _field(node: Node) -> bytes:
    return node.words[0].lower().encode("utf-8", "surrogateescape")


def _unsupported(node: Node) -> int:
    node.warning(f'"{node.name}" is not supported, ignored')
    return 0


def passDirective(where: Where) -> Any:
    """
    The field of a C{*_pass} that may stand in these places.
    """
    return directive(
        "*_pass",
        where,
        template,
        default=None,
        inherit=False,
        doc="Pass requests to this server or group.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PassOptions:
    """
    Options common to all dialects.

    A dialect that lacks some of them has a subclass, whose plain fields (without
    C{directive}) say what counts in their place.

    @ivar hidden: fields that clients do not get to see by default, in lower case.
    @ivar intercept404: is 404 answered by C{error_page}, or the built-in page, whatever
        C{interceptErrors} says?
    """

    hidden: tuple[bytes, ...] = HIDDEN
    intercept404: bool = False
    target: Template | None = passDirective(
        Where.LOCATION | Where.IF | Where.LIMIT_EXCEPT
    )
    connectTimeout: float = directive(
        "*_connect_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long connecting to a server may take.",
    )
    sendTimeout: float = directive(
        "*_send_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long a server may take nothing of the request.",
    )
    readTimeout: float = directive(
        "*_read_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long a server may send nothing of the response.",
    )
    buffering: bool = directive(
        "*_buffering",
        HTTP_ANY,
        flag,
        default=True,
        doc="Read the response as fast as the server sends it, whatever the client"
        " takes.",
    )
    requestBuffering: bool = directive(
        "*_request_buffering",
        HTTP_ANY,
        flag,
        default=True,
        doc="Read the whole request body before asking a server.",
    )
    ignoreClientAbort: bool = directive(
        "*_ignore_client_abort",
        HTTP_ANY,
        flag,
        default=False,
        doc="Go on when the client leaves before the response.",
    )
    interceptErrors: bool = directive(
        "*_intercept_errors",
        HTTP_ANY,
        flag,
        default=False,
        doc="Let error_page replace responses of status 300 and above.",
    )
    bufferSize: int = directive(
        "*_buffer_size",
        HTTP_ANY,
        size,
        default=PAGE,
        unit="bytes",
        doc="Limit of a response's head; size of the buffer of unbuffered responses.",
    )
    buffers: tuple[int, int] = directive(
        "*_buffers",
        HTTP_ANY,
        countAndSize,
        arity=(2, 2),
        default=(8, PAGE),
        unit="bytes",
        doc="Number and size of the buffers of one response.",
    )
    busyBuffersSize: int = directive(
        "*_busy_buffers_size",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="Checked as nginx does; there is no copy to limit: what the client has not"
        " taken waits in the buffers.",
    )
    maxTempFileSize: int = directive(
        "*_max_temp_file_size",
        HTTP_ANY,
        size,
        default=1024 * 1024 * 1024,
        unit="bytes",
        doc="How much of one response may wait in a temporary file; 0: none.",
    )
    tempFileWriteSize: int = directive(
        "*_temp_file_write_size",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="Checked as nginx does; what is read at a time is written at a time.",
    )
    tempPath: tuple[str, ...] = directive(
        "*_temp_path",
        HTTP_ANY,
        words,
        arity=(1, 4),
        default=(),
        doc="Directory of temporary files (levels are accepted; files are unlinked"
        " at once, so there is nothing to spread over sub-directories).",
    )
    nextUpstream: tuple[int, ...] = nextUpstreamDirective(HTTP_WORDS)
    nextUpstreamTries: int = directive(
        "*_next_upstream_tries",
        HTTP_ANY,
        number,
        default=0,
        doc="How many servers are asked at most; 0: all.",
    )
    nextUpstreamTimeout: float = directive(
        "*_next_upstream_timeout",
        HTTP_ANY,
        seconds,
        default=0.0,
        unit="seconds",
        doc="How long after the first attempt another server is still asked; 0: ever.",
    )
    bind: Template | None = directive(
        "*_bind",
        HTTP_ANY,
        _bind,
        arity=(1, 2),
        default=None,
        doc="The local address of connections to servers.",
    )
    socketKeepalive: bool = directive(
        "*_socket_keepalive",
        HTTP_ANY,
        flag,
        default=False,
        doc="TCP keep-alive (SO_KEEPALIVE) on connections to servers.",
    )
    socketReceiveBuffer: int = directive(
        "*_socket_rcvbuf",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="SO_RCVBUF of connections to servers; 0: the system's.",
    )
    socketSendBuffer: int = directive(
        "*_socket_sndbuf",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="SO_SNDBUF of connections to servers; 0: the system's.",
    )
    sendLowat: int = directive(
        "*_send_lowat",
        HTTP_ANY,
        _unsupported,
        arity=(1, 1),
        default=0,
        doc="Without effect on this platform, as in nginx on Linux.",
    )
    limitRate: Template | None = directive(
        "*_limit_rate",
        HTTP_ANY,
        template,
        default=None,
        unit="bytes per second",
        doc="How fast a buffered response is read from the server.",
    )
    forceRanges: bool = directive(
        "*_force_ranges",
        HTTP_ANY,
        flag,
        default=False,
        doc="Answer requests for one part of a response, whatever the server says of"
        " that.",
    )
    ignoreHeaders: frozenset[bytes] = directive(
        "*_ignore_headers",
        HTTP_ANY,
        _ignored,
        arity=(1, None),
        default=frozenset(),
        doc="Response fields that are passed on but not acted upon.",
    )
    hideHeaders: tuple[bytes, ...] = directive(
        "*_hide_header",
        HTTP_ANY,
        _field,
        arity=(1, 1),
        repeat=True,
        default=(),
        doc="A response field that clients do not get to see.",
    )
    passHeaders: tuple[bytes, ...] = directive(
        "*_pass_header",
        HTTP_ANY,
        _field,
        arity=(1, 1),
        repeat=True,
        default=(),
        doc="A response field that clients get although it is hidden by default.",
    )
    passRequestBody: bool = directive(
        "*_pass_request_body",
        HTTP_ANY,
        flag,
        default=True,
        doc="Send the client's body to the server.",
    )
    passRequestHeaders: bool = directive(
        "*_pass_request_headers",
        HTTP_ANY,
        flag,
        default=True,
        doc="Send the client's fields to the server.",
    )

    @property
    def highWater(self) -> int:
        """
        Bytes of a buffered response that may wait in memory for the client.
        """
        count, each = self.buffers
        return self.bufferSize + count * each

    def merged(self, block: Block) -> PassOptions:
        """
        Check the sizes against each other, with nginx's words, and fill in defaults
        that depend on them.
        """
        count, each = self.buffers
        most = max(self.bufferSize, each)
        checks: list[tuple[str, bool, str]] = [
            ("_buffers", count < 2, 'there must be at least 2 "{}_buffers"'),
            (
                "_busy_buffers_size",
                self.busyBuffersSize != 0 and self.busyBuffersSize < most,
                '"{}_busy_buffers_size" must be equal to or greater than the maximum'
                ' of the value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
            (
                "_busy_buffers_size",
                (self.busyBuffersSize or 2 * most) > (count - 1) * each,
                '"{}_busy_buffers_size" must be less than the size of all'
                ' "{}_buffers" minus one buffer',
            ),
            (
                "_temp_file_write_size",
                self.tempFileWriteSize != 0 and self.tempFileWriteSize < most,
                '"{}_temp_file_write_size" must be equal to or greater than the'
                ' maximum of the value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
            (
                "_max_temp_file_size",
                self.maxTempFileSize != 0 and self.maxTempFileSize < most,
                '"{}_max_temp_file_size" must be equal to zero to disable temporary'
                " files usage or must be equal to or greater than the maximum of the"
                ' value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
        ]
        for suffix, wrong, message in checks:
            if not wrong:
                continue
            for node in block.node.block or ():
                prefix = node.name.split("_")[0]
                if node.name.endswith((suffix, "_buffer_size", "_buffers")):
                    raise node.error(message.replace("{}", prefix))
        return replace(
            self,
            busyBuffersSize=self.busyBuffersSize or 2 * most,
            tempFileWriteSize=self.tempFileWriteSize or 2 * most,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ValuePassOptions(PassOptions):
    """
    Options of dialects that ask a store for one value by its key: memcached, Redis.
    There are no fields to look at, nothing but the key is sent, and the value is passed
    as it comes.
    """

    target: Template | None = passDirective(Where.LOCATION | Where.IF)
    nextUpstream: tuple[int, ...] = nextUpstreamDirective(MEMCACHED_WORDS)
    hidden: tuple[bytes, ...] = ()
    intercept404: bool = True
    interceptErrors: bool = True
    forceRanges: bool = True
    buffering: bool = False
    requestBuffering: bool = True
    ignoreClientAbort: bool = False
    buffers: tuple[int, int] = (0, 0)
    busyBuffersSize: int = 0
    maxTempFileSize: int = 0
    tempFileWriteSize: int = 0
    tempPath: tuple[str, ...] = ()
    socketReceiveBuffer: int = 0
    socketSendBuffer: int = 0
    sendLowat: int = 0
    limitRate: Template | None = None
    ignoreHeaders: frozenset[bytes] = frozenset()
    hideHeaders: tuple[bytes, ...] = ()
    passHeaders: tuple[bytes, ...] = ()
    passRequestBody: bool = False
    passRequestHeaders: bool = False

    def merged(self, block: Block) -> PassOptions:
        """
        There are no sizes to check.
        """
        return self


def passOptionsOf(dialects: Mapping[str, Any], name: str) -> type[PassOptions]:
    """
    The class of the options that a dialect has in common with others.

    @param dialects: plugins by name; one that cannot be loaded has all options, and is
        complained of where it is used.
    """
    try:
        found: type[PassOptions] | None = dialects[name].passOptions
    except PluginError:
        found = None
    return PassOptions if found is None else found


def _keepalive(node: Node) -> tuple[int, bool]:
    if not node.words[0].isdigit():
        raise node.error(
            f'invalid value "{node.words[0]}" in "keepalive" directive', word=0
        )
    if len(node.words) == 2 and node.words[1] != "local":
        raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
    return int(node.words[0]), len(node.words) == 2


def _zone(node: Node) -> tuple[str, int]:
    name = node.words[0]
    if not name:
        raise node.error(f'invalid zone name "{name}"', word=0)
    if len(node.words) == 1:
        return name, 0
    try:
        found = parseSize(node.words[1])
    except ValueError:
        raise node.error(f'invalid zone size "{node.words[1]}"', word=1) from None
    if found < 8 * PAGE:
        raise node.error(f'zone "{name}" is too small', word=1)
    return name, found


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamOptions:
    """
    What stands in C{upstream{}} besides servers and balancers.
    """

    keepalive: tuple[int, bool] = directive(
        "keepalive",
        Where.UPSTREAM,
        _keepalive,
        arity=(1, 2),
        default=(32, True),
        doc="How many idle connections are kept; C{local}: not shared by locations.",
    )
    keepaliveRequests: int = directive(
        "keepalive_requests",
        Where.UPSTREAM,
        number,
        default=1000,
        doc="How many requests one connection to a server may serve.",
    )
    keepaliveTime: float = directive(
        "keepalive_time",
        Where.UPSTREAM,
        seconds,
        default=3600.0,
        unit="seconds",
        doc="How old a connection to a server may be to be kept once more.",
    )
    keepaliveTimeout: float = directive(
        "keepalive_timeout",
        Where.UPSTREAM,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long an idle connection to a server is kept.",
    )
    healthScope: str = directive(
        "health_scope",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        oneOf("group", "address"),
        default="group",
        doc="Who learns from a server's failures: this group, or all groups, of C{http}"
        " and C{stream}, that say C{address} and have a server with the same address."
        " C{max_fails} and C{fail_timeout} stay those of each group. What is known"
        " outlives a reload.",
        origin="ours",
    )
    resolver: tuple[str, ...] = directive(
        "resolver",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        words,
        arity=(1, None),
        default=(),
        doc="Name servers for the names of servers with C{resolve}; by default those"
        " of C{http} or C{stream}.",
    )
    resolverTimeout: float | None = directive(
        "resolver_timeout",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        seconds,
        default=None,
        unit="seconds",
        doc="How long looking up the name of a server with C{resolve} may take; by"
        " default as C{http} or C{stream} say.",
    )
    zone: tuple[str, int] = directive(
        "zone",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        _zone,
        arity=(1, 2),
        default=("", 0),
        doc="Name and size of the memory that workers share. Accepted and checked, but"
        " without effect: one process serves, and it knows its groups anyway.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLine:
    """
    One C{server} line of a group.

    @ivar failTimeout: whole seconds.
    @ivar down: nginx's bits: 1 down, 8 draining.
    @ivar label: Tengine's C{id=}.
    @ivar slowStart: seconds.
    @ivar resolve: is the address a name that is watched?
    @ivar service: what is served there; empty: the name stands for addresses.
    """

    node: Node
    address: str
    weight: int = 1
    maxConns: int = 0
    maxFails: int = 1
    failTimeout: int = 10
    backup: bool = False
    down: int = 0
    route: str = ""
    label: str = ""
    slowStart: float = 0.0
    resolve: bool = False
    service: str = ""

    def peerOptions(self) -> dict[str, Any]:
        """
        What L{Peer} is made with.
        """
        return {
            "server": self.address,
            "weight": self.weight,
            "maxConns": self.maxConns,
            "maxFails": self.maxFails,
            "failTimeout": self.failTimeout,
            "down": self.down,
            "sid": self.route.encode("utf-8", "surrogateescape"),
            "label": self.label,
            "slowStart": self.slowStart,
        }


def parseServer(node: Node) -> ServerLine:
    """
    Read one C{server} line.  nginx: C{ngx_http_upstream_server()}.

    @raise ConfigError: a parameter is wrong.
    """
    from ..config.values import parseTime

    values: dict[str, int] = {"weight": 1, "max_conns": 0, "max_fails": 1}
    failTimeout, backup, down, route, label = 10, False, 0, "", ""
    slowStart, resolve, service = 0.0, False, ""
    for index, word in enumerate(node.words[1:], 1):
        name, given, value = word.partition("=")
        wrong = node.error(f'invalid parameter "{word}"', word=index)
        if given and name in values:
            if not (value.isascii() and value.isdigit()):
                raise wrong
            values[name] = int(value)
            if name == "weight" and values[name] == 0:
                raise wrong
        elif given and name == "fail_timeout":
            try:
                failTimeout = int(parseTime(value, milliseconds=False))
            except ValueError:
                raise wrong from None
        elif word == "backup":
            backup = True
        elif word == "down":
            down |= 1
        elif word == "drain":
            down |= 8
        elif given and name == "route":
            if not value:
                raise node.error("route is empty", word=index)
            if len(value) > 32:
                raise node.error("route is longer than 32", word=index)
            route = value
        elif name == "id" and value:
            label = value
        elif given and name == "slow_start":
            try:
                slowStart = parseTime(value)
            except ValueError:
                raise wrong from None
        elif word == "resolve":
            resolve = True
        elif given and name == "service":
            if not value:
                raise node.error("service is empty", word=index)
            service = value
        else:
            raise wrong
    return ServerLine(
        node=node,
        address=node.words[0],
        weight=values["weight"],
        maxConns=values["max_conns"],
        maxFails=values["max_fails"],
        failTimeout=failTimeout,
        backup=backup,
        down=down,
        route=route,
        label=label,
        slowStart=slowStart,
        resolve=resolve,
        service=service,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupOptions:
    """
    C{upstream{}} itself, and its C{server} lines.
    """

    groups: tuple[str, ...] = directive(
        "upstream",
        Where.HTTP,
        text,
        repeat=True,
        default=(),
        opens=Where.UPSTREAM,
        doc="A group of servers.",
    )
    servers: tuple[ServerLine, ...] = directive(
        "server",
        Where.UPSTREAM,
        parseServer,
        arity=(1, None),
        repeat=True,
        inherit=False,
        default=(),
        doc="A server of the group: address and parameters, which are `weight=number`,"
        " `max_conns=number`, `max_fails=number`, `fail_timeout=time`, `backup`,"
        " `down`, `drain`, `route=string`, `slow_start=time` (a server that comes back"
        " gets its weight little by little in that time), `id=string` (of Tengine),"
        " `resolve` (the name is watched while requests are served), `service=name`"
        " (the name stands for that service: its `SRV` records are watched).",
    )
    state: str = directive(
        "state",
        Where.UPSTREAM,
        text,
        inherit=False,
        default="",
        doc="A file with the group's C{server} lines, instead of such lines here. It"
        " need not exist: a group may be empty then. It needs a C{zone}.",
        origin="plus",
    )


def parseStreamServer(node: Node) -> ServerLine:
    """
    Read one C{server} line of a group in C{stream}.

    @raise ConfigError: a parameter is wrong.

    nginx: C{ngx_stream_upstream_server()}
    """
    for index, word in enumerate(node.words[1:], 1):
        if word == "drain" or word.startswith("route="):
            raise node.error(f'invalid parameter "{word}"', word=index)
    return parseServer(node)


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamGroupOptions:
    """
    C{upstream{}} of C{stream}, and its C{server} lines.
    """

    groups: tuple[str, ...] = directive(
        "upstream",
        Where.STREAM,
        text,
        repeat=True,
        default=(),
        opens=Where.STREAM_UPSTREAM,
        doc="A group of servers.",
    )
    servers: tuple[ServerLine, ...] = directive(
        "server",
        Where.STREAM_UPSTREAM,
        parseStreamServer,
        arity=(1, None),
        repeat=True,
        inherit=False,
        default=(),
        doc="A server of the group: address and parameters.",
    )
    state: str = directive(
        "state",
        Where.STREAM_UPSTREAM,
        text,
        inherit=False,
        default="",
        doc="A file with the group's C{server} lines, instead of such lines here. It"
        " need not exist: a group may be empty then. It needs a C{zone}.",
        origin="plus",
    )
