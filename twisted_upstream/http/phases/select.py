"""
C{upstream_select}: programs in any language have a server chosen, connect to it by
themselves, and tell how that went.

nginx: no source; the directive is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred

from ...balance.peer import Outcome, Peer
from ...config.directive import Where, directive
from ...config.values import parseNumber, parseTime
from ...net.sockaddr import parseLiteral
from ...upstream.attempt import Attempt
from ...upstream.picks import Picks
from ...wire.fields import firstValue
from ...wire.head import ResponseHead
from ...wire.uri import unescape

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ...config.build import Block
    from ...config.syntax import Node
    from ...interfaces import IPeerGetter
    from ...upstream.group import UpstreamGroup
    from ...variables import Getter
    from ..request import Request

#: Bytes of a report.
_MOST_BYTES = 4096
#: The arguments that mean something here; others are for the group's C{$arg_*}.
_PICK = frozenset((b"name", b"client", b"key", b"format"))
_REPORT = frozenset((b"token", b"outcome", b"elapsed"))
_SECONDS = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")
_FORMATS = (b"json", b"text")
_OUTCOMES = (b"ok", b"failed")
#: Whose note the C{key} of a request is.
_KEY = object()

_ALLOW = b"\r\nAllow: GET, POST"


@dataclass(frozen=True, slots=True)
class SelectLine:
    """
    One C{upstream_select}.

    @ivar names: of the groups that may be asked for; the first by itself.
    @ivar timeout: seconds after which a pick is given back that nobody reported.
    @ivar most: how many picks may be without report, for each group.
    """

    names: tuple[str, ...]
    timeout: float
    most: int
    node: Node


def _select(node: Node) -> SelectLine:
    names: list[str] = []
    timeout, most = 60.0, 10000
    for index, word in enumerate(node.words):
        name, given, value = word.partition("=")
        try:
            if not given:
                names.append(word)
            elif name == "timeout":
                timeout = parseTime(value)
                if not timeout:
                    raise ValueError
            elif name == "max":
                most = parseNumber(value)
                if not most:
                    raise ValueError
            else:
                raise ValueError
        except ValueError:
            raise node.error(f'invalid parameter "{word}"', word=index) from None
    if not names:
        raise node.error('invalid number of arguments in "upstream_select" directive')
    return SelectLine(tuple(names), timeout, most, node)


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectOptions:
    """
    Servers chosen for others.
    """

    select: SelectLine | None = directive(
        "upstream_select",
        Where.LOCATION,
        _select,
        arity=(1, None),
        default=None,
        inherit=False,
        type="group ... [timeout=time] [max=number]",
        doc="Answer with the server that a group chooses, for a program that connects"
        " by itself, as JSON or text; take its report of the outcome by POST. With"
        " several groups the argument `name` says which. A pick that is not reported"
        " within `timeout` (`60s`) is given back; `max` (`10000`) of a group may be"
        " without report at a time. See [Picks](picks.md).",
        origin="ours",
    )


def compileSelect(block: Block, build: Any) -> Callable[[Request], None] | None:
    """
    Compile C{upstream_select} of one location, or of the location that an C{if} or
    C{limit_except} is in.

    @param build: the composition at hand, with C{groups}, C{picks} and C{outer}.
    @return: the location's content; C{None}: it has another.
    """
    place: Block | None = block
    while place is not None:
        line = place.of(SelectOptions).select
        other = build.passedBy(place)
        if line is not None:
            if other:
                raise line.node.error(
                    f'"upstream_select" is in one location with "{other}_pass"'
                )
            return Select(line, build).handle
        if other:
            return None
        place = build.outer(place)
    return None


def variables() -> dict[str, Getter]:
    """
    C{$upstream_select_key}: the argument C{key} of a request for a pick.
    """
    return {"upstream_select_key": lambda request: request.notes.get(_KEY)}


class Select:
    """
    One C{upstream_select}.
    """

    def __init__(self, line: SelectLine, build: Any) -> None:
        """
        @raise ConfigError: there is no such group.
        """
        self._timeout = line.timeout
        self._most = line.most
        self._groups: dict[bytes, tuple[UpstreamGroup, Picks]] = {}
        self._seconds: Callable[[], float] = build.served.seconds
        for index, name in enumerate(line.names):
            group = build.groups.explicit(name)
            if group is None:
                raise line.node.error(f'no upstream "{name}"', word=index)
            picks: Picks | None = build.picks.get(name.lower())
            if picks is None:
                # Kept over a reload like a zone, under a name that no zone can have.
                picks = Picks(build.served.deadlines, self._seconds)
                build.zones.keep(
                    f"picks {name}", 0, "http picks", picks, line.node, group=name
                )
                build.picks[name.lower()] = picks
            self._groups[name.encode("utf-8", "surrogateescape")] = (group, picks)
        self._default = next(iter(self._groups.values()))

    def handle(self, request: Request) -> None:
        """
        Answer with a server, or take a report: a location's content.
        """
        if request.method == b"GET":
            if request.discardsBody():
                self._pick(request)
        elif request.method == b"POST":
            length = request.head.contentLength
            if length is not None and length > _MOST_BYTES:
                request.failResponse(413)
            elif request.body is None:
                self._report(request, {})
            else:
                request.body.read(partial(self._bodyRead, request))
        else:
            request.failResponse(405, _ALLOW)

    # ---- picks ----------------------------------------------------------------------

    def _pick(self, request: Request) -> None:
        said = _arguments(request.args, _PICK)
        if said is None:
            request.failResponse(400)
            return
        found = self._default
        name = said.get(b"name")
        if name is not None:
            named = self._groups.get(name)
            if named is None:
                request.failResponse(404)
                return
            found = named
        written = said.get(b"format") or _accepted(request)
        address = said.get(b"client")
        if address is not None:
            host = parseLiteral(address.decode("latin-1"))
            if host is None:
                request.failResponse(400)
                return
            request.changeAddress(host, 0)
        if written not in _FORMATS:
            request.failResponse(400)
            return
        if b"key" in said:
            request.notes[_KEY] = said[b"key"]
        group, picks = found
        if picks.size >= self._most:
            request.logError(
                "error", f'{self._most} picks of "{group.host}" are without report'
            )
            request.failResponse(503)
            return
        getter = group.initPeer(request)
        begun = self._seconds()
        peer = getter.getPeer()

        def chosen(peer: Peer | None, queueTime: float = -1.0) -> None:
            attempt = Attempt(
                group.nameBytes if peer is None else peer.nameBytes, begun
            )
            attempt.queueTime = queueTime
            request.attempts = [attempt]
            if peer is None:
                attempt.status = 502
                request.logError("error", "no live upstreams", action=_CHOOSING)
                request.failResponse(502)
                return
            self._answer(request, picks, getter, peer, written)

        if not isinstance(peer, Deferred):
            chosen(peer)
            return

        def waited(peer: Peer | None) -> None:
            picks.waiting -= 1
            request.waiting = None
            if request.isFinished:
                if peer is not None:
                    getter.freePeer(peer, Outcome.NEXT)
                return
            chosen(peer, self._seconds() - begun)

        def failed(reason: Failure) -> None:
            if reason.check(CancelledError):
                # The client has gone: whoever cancelled it goes on.
                picks.waiting -= 1
                return
            request.logError("alert", f"balancer failed: {reason.value!r}")
            waited(None)

        picks.waiting += 1
        request.waiting = peer.cancel
        peer.addCallbacks(waited, failed)

    def _answer(
        self,
        request: Request,
        picks: Picks,
        getter: IPeerGetter,
        peer: Peer,
        written: bytes,
    ) -> None:
        def lost() -> None:
            request.logError(
                "info", f'nobody has reported the outcome of a pick of "{peer.name}"'
            )

        token = picks.add(getter, peer, self._timeout, lost)
        if written == b"text":
            body = b"%b %b\n" % (peer.nameBytes, token)
            kind = b"text/plain"
        else:
            body = _asJSON(peer, token)
            kind = b"application/json"
        fields = b"\r\nCache-Control: no-store"
        request.sendResponse(ResponseHead(200, fields, contentType=kind), body)

    # ---- reports --------------------------------------------------------------------

    def _bodyRead(self, request: Request) -> None:
        body = request.body
        assert body is not None
        if body.size > _MOST_BYTES:
            request.failResponse(413)
            return
        data = b"".join(body.parts)
        if body.file is not None:
            body.file.seek(0)
            data = body.file.read(_MOST_BYTES)
        kind = firstValue(request.head.fields, b"content-type") or b""
        if kind.partition(b";")[0].strip().lower() == b"application/json":
            said = _fromJSON(data)
        else:
            said = _arguments(data.strip(b"\r\n"), _REPORT)
        if said is None:
            request.failResponse(400)
        else:
            self._report(request, said)

    def _report(self, request: Request, said: Mapping[bytes, bytes]) -> None:
        more = _arguments(request.args, _REPORT)
        if more is None or more.keys() & said.keys():
            request.failResponse(400)
            return
        everything = {**more, **said}
        token, outcome = everything.get(b"token"), everything.get(b"outcome")
        elapsed = everything.get(b"elapsed")
        if (
            token is None
            or outcome not in _OUTCOMES
            or (elapsed is not None and not _SECONDS.match(elapsed))
        ):
            request.failResponse(400)
            return
        seconds = None if elapsed is None else float(elapsed)
        for _, picks in self._groups.values():
            if picks.report(token, outcome == b"failed", seconds):
                request.sendResponse(_done(), b"")
                return
        request.failResponse(404)


#: What is being done, for the error log.
_CHOOSING = "choosing an upstream server"


def _done() -> ResponseHead:
    head = ResponseHead(204)
    head.noBody = True
    return head


def _arguments(query: bytes, known: frozenset[bytes]) -> dict[bytes, bytes] | None:
    """
    The arguments that mean something.

    @return: C{None}: one of them is there twice.
    """
    found: dict[bytes, bytes] = {}
    for each in query.split(b"&"):
        name, _, value = each.partition(b"=")
        if name in known:
            if name in found:
                return None
            found[name] = unescape(value.replace(b"+", b" "))
    return found


def _fromJSON(data: bytes) -> dict[bytes, bytes] | None:
    """
    The arguments of a JSON object; C{None}: it is none.
    """
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    found: dict[bytes, bytes] = {}
    for name, value in read.items():
        key = name.encode("utf-8", "replace")
        if key not in _REPORT:
            continue
        if isinstance(value, float):
            value = f"{value:.9f}"
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        found[key] = str(value).encode("utf-8", "replace")
    return found


def _accepted(request: Request) -> bytes:
    """
    The format that the Accept field asks for.
    """
    accept = (firstValue(request.head.fields, b"accept") or b"").lower()
    if b"text/plain" in accept and b"application/json" not in accept:
        return b"text"
    return b"json"


def _asJSON(peer: Peer, token: bytes) -> bytes:
    sockaddr = peer.sockaddr
    host, port = (sockaddr, None) if isinstance(sockaddr, str) else sockaddr[:2]
    text = json.dumps(
        {"server": peer.server, "host": host, "port": port, "token": token.decode()}
    )
    return text.encode() + b"\n"
