"""
Servers that tests play: what they answer, and what goes wrong with them when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from .faults import ConnectPlan, Fault, ResponsePlan
from .messages import Message, MessageReader, message
from .network import MemoryDialer

if TYPE_CHECKING:
    from ..net.deadline import Deadlines
    from .memory import MemoryReactor, MemorySocket
    from .network import Dialed

#: Requests that a server remembers.
_MOST_REQUESTS = 10000
#: Seconds between two pieces of a slow response.
_PACE = 0.1
#: Seconds between what was sent and the reset that follows it.
_MOMENT = 0.001


@dataclass(frozen=True)
class Response:
    """
    What a server answers.

    @ivar fields: of the head; Content-Length is not among them.
    """

    body: bytes | str = b""
    status: int = 200
    fields: Mapping[str, str] = field(default_factory=dict)

    def wire(self, *, bodiless: bool = False) -> bytes:
        """
        The whole response.
        """
        body = self.body.encode() if isinstance(self.body, str) else self.body
        fields = [f"{name}: {value}" for name, value in self.fields.items()]
        if self.status not in (204, 304) and self.status >= 200:
            fields.append(f"Content-Length: {len(body)}")
        else:
            body = b""
        first = f"HTTP/1.1 {self.status} Fake"
        return message(first, fields, b"" if bodiless else body)


#: A body, a status, a whole response, or what makes one of them of a request.
Answering: TypeAlias = (
    "bytes | str | int | Response | Callable[[Message], bytes | str | int | Response]"
)
#: Takes a connection and the bytes that have just come.
RawResponder: TypeAlias = "Callable[[Connection, bytes], None]"


def _response(found: bytes | str | int | Response) -> Response:
    if isinstance(found, Response):
        return found
    if isinstance(found, int):
        return Response(status=found)
    return Response(found)


@dataclass(frozen=True, eq=False)
class _Injected:
    fault: Fault
    begin: float
    end: float
    chance: float


class FakeServer:
    """
    One server, as all connections to its address see it.

    @ivar name: as the configuration calls it.
    @ivar address: its address with the port, as C{$upstream_addr} has it.
    @ivar requests: those that it has received, the last 10,000.
    @ivar received: how many it has received.
    @ivar connections: those that it was asked for.
    @ivar raw: who says everything, byte by byte, or C{None}.
    """

    def __init__(
        self,
        name: str,
        address: str,
        reactor: MemoryReactor,
        seconds: Callable[[], float],
        random: Random,
    ) -> None:
        self.name = name
        self.address = address
        self.requests: deque[Message] = deque(maxlen=_MOST_REQUESTS)
        self.received = 0
        self.connections = 0
        self.reactor = reactor
        self._seconds = seconds
        self._random = random
        self._faults: list[_Injected] = []
        self._calls: list[Any] = []
        self._answering: Answering = f"{name}\n"
        self.raw: RawResponder | None = None
        # In order, so that tests do not depend on chance.
        self._open: dict[Connection, None] = {}

    def __repr__(self) -> str:
        return f"<FakeServer {self.name}>"

    # ---- what it does ---------------------------------------------------------------

    def responds(self, answering: Answering) -> FakeServer:
        """
        Answer each request so; without this, the body is the server's name.

        @param answering: a body, a status, a L{Response}, or a function that takes the
            request (a L{Message}) and returns one of them.
        @return: the server itself.
        """
        self._answering = answering
        self.raw = None
        return self

    def respondsRaw(self, responder: RawResponder) -> FakeServer:
        """
        Let C{responder} say everything, byte by byte: it is called with the
        L{Connection} and what has come, whenever something has.

        @return: the server itself.
        """
        self.raw = responder
        return self

    def inject(
        self, fault: Fault, begin: float = 0.0, end: float = inf, chance: float = 1.0
    ) -> FakeServer:
        """
        Let something go wrong, from C{begin} on and before C{end}, in seconds since the
        world began.

        @param chance: how likely it is each time, from 0 to 1.
        @return: the server itself.
        """
        if not 0 <= chance <= 1:
            raise ValueError("chance must be from 0 to 1")
        if not begin <= end:
            raise ValueError("end must not be before begin")
        injected = _Injected(fault, begin, end, chance)
        self._faults.append(injected)
        if fault.closes:
            due = max(0.0, begin - self._seconds())
            self._calls.append(self.reactor.callLater(due, self._begins, injected))
        return self

    def _begins(self, injected: _Injected) -> None:
        if injected in self._faults and self._happens(injected):
            for connection in list(self._open):
                connection.stop()
                connection.close()

    def _happens(self, injected: _Injected) -> bool:
        return injected.begin <= self._seconds() < injected.end and (
            injected.chance >= 1 or self._random.random() < injected.chance
        )

    def heal(self) -> None:
        """
        Nothing goes wrong any more.
        """
        self._faults.clear()

    # ---- what happens to it ---------------------------------------------------------

    def _due(self) -> list[Fault]:
        return [each.fault for each in self._faults if self._happens(each)]

    def connect(self, dialed: Dialed) -> ConnectPlan:
        """
        Somebody wants to connect.
        """
        self.connections += 1
        plan = ConnectPlan()
        for fault in self._due():
            fault.onConnect(plan, self._random)
        return plan

    def accepted(self, socket: MemorySocket) -> None:
        """
        Somebody has connected.
        """
        connection = Connection(self, socket)
        self._open[connection] = None
        # In a turn of its own: what a test's function raises is for the test.
        self.reactor.callLater(0, connection.heard)

    def heardRequest(self, request: Message) -> ResponsePlan:
        """
        A request has come.
        """
        self.received += 1
        self.requests.append(request)
        answering = self._answering
        response = _response(answering(request) if callable(answering) else answering)
        bodiless = request.method == "HEAD"
        plan = ResponsePlan(response.wire(bodiless=bodiless))
        for fault in self._due():
            fault.onResponse(plan, self._random)
        return plan

    def connectionClosed(self, connection: Connection) -> None:
        """
        The proxy has closed a connection.
        """
        self._open.pop(connection, None)

    def close(self) -> None:
        """
        Stop whatever is still being sent.
        """
        for call in self._calls:
            if call.active():
                call.cancel()
        for connection in list(self._open):
            connection.stop()


class Connection:
    """
    One connection to a server that a test plays.

    @ivar server: the server.
    """

    def __init__(self, server: FakeServer, socket: MemorySocket) -> None:
        self.server = server
        self._socket = socket
        self._reader = MessageReader(socket)
        self._isBusy = False
        self._call: Any = None
        socket.watcher = self.heard

    def heard(self) -> None:
        """
        Something has come, or the proxy has closed.
        """
        socket = self._socket
        if socket.closed:
            self.stop()
            self.server.connectionClosed(self)
            return
        raw = self.server.raw
        if raw is not None:
            data = bytes(socket.outgoing)
            socket.outgoing.clear()
            if data:
                raw(self, data)
            return
        if self._isBusy:
            return
        request = self._reader.next()
        if request is None or not request.complete:
            return
        self._isBusy = True
        plan = self.server.heardRequest(request)
        if _isLast(request):
            plan.isLast = True
        if plan.delay is not None:
            self._later(plan.delay, lambda: self._send(plan, 0))

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        if not seconds:
            call()
            return

        def due() -> None:
            self._call = None
            if not self._socket.closed:
                call()

        self._call = self.server.reactor.callLater(seconds, due)

    def _send(self, plan: ResponsePlan, offset: int) -> None:
        if plan.bytesPerSecond is None:
            self.send(plan.data)
        else:
            size = max(1, round(plan.bytesPerSecond * _PACE))
            piece = plan.data[offset : offset + size]
            self.send(piece)
            offset += len(piece)
            if offset < len(plan.data):
                pause = len(piece) / plan.bytesPerSecond
                self._later(pause, lambda: self._send(plan, offset))
                return
        self._isBusy = False
        if not plan.isLast:
            self.heard()
        elif plan.isReset:
            # What was sent before it arrives before it.
            self._call = self.server.reactor.callLater(_MOMENT, self.reset)
        else:
            self.close()

    def send(self, data: bytes) -> None:
        """
        Send C{data}.
        """
        self._socket.deliver(data)

    def close(self) -> None:
        """
        Close the connection.
        """
        self._socket.hangUp()

    def reset(self) -> None:
        """
        Close the connection by a reset.
        """
        self._call = None
        self._socket.reset()

    def stop(self) -> None:
        """
        Send nothing more of what is under way.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()


def _isLast(request: Message) -> bool:
    words = (request["Connection"] or "").lower()
    if request.first.endswith("HTTP/1.0"):
        return "keep-alive" not in words
    return "close" in words


class FakeNetwork(MemoryDialer):
    """
    Connects to L{FakeServer}s.
    """

    #: Finds the server of a peer: set by who has them.
    find: Callable[[Any], FakeServer]

    def __init__(self, reactor: MemoryReactor, deadlines: Deadlines) -> None:
        super().__init__(reactor, deadlines)
        self._pruneAt = 1000
        self._late: dict[Dialed, Any] = {}

    def begin(self, dialed: Dialed) -> None:
        """
        Let the server's faults decide.
        """
        server = self.find(dialed.peer)
        plan = server.connect(dialed)
        del self.asked[:]
        if len(self.made) > self._pruneAt:
            self.made = [each for each in self.made if not each.closed]
            self._pruneAt = 2 * len(self.made) + 1000
        if plan.delay == 0.0:
            self._answer(server, dialed, plan)
            return
        self.unanswered.append(dialed)
        dialed.wait()
        if plan.delay is not None:
            self._late[dialed] = self.reactor.callLater(
                plan.delay, self._answerLate, server, dialed, plan
            )

    def _answerLate(
        self, server: FakeServer, dialed: Dialed, plan: ConnectPlan
    ) -> None:
        del self._late[dialed]
        if dialed in self.unanswered:
            self.unanswered.remove(dialed)
            self._answer(server, dialed, plan)

    def stop(self) -> None:
        """
        Answer nobody any more.
        """
        for call in self._late.values():
            call.cancel()
        self._late.clear()

    @staticmethod
    def _answer(server: FakeServer, dialed: Dialed, plan: ConnectPlan) -> None:
        if plan.isRefused:
            dialed.refuse()
            return
        dialed.accept()
        assert dialed.socket is not None
        server.accepted(dialed.socket)
