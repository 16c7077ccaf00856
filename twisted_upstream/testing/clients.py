"""
Clients that tests play: a request, and what is known once it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .messages import Message, MessageReader, message

if TYPE_CHECKING:
    from .memory import MemorySocket


@dataclass(frozen=True)
class Attempt:
    """
    One attempt to have a server answer.  Seconds are C{None} for what never came.

    @ivar server: as the configuration calls it; the group where there was none.
    @ivar address: its address with the port.
    @ivar status: of its response, or of the failure.
    @ivar connectSeconds: until connected.
    @ivar headerSeconds: until the head of the response.
    @ivar seconds: until the end.
    @ivar queueSeconds: that it waited before, in C{queue}.
    """

    server: str
    address: str
    status: int
    connectSeconds: float | None
    headerSeconds: float | None
    seconds: float | None
    queueSeconds: float | None


class Answer:
    """
    What a client got, and how.

    @ivar status: 0: no response has come.
    @ivar fields: names and values of the head, in order.
    @ivar body: without framing.
    @ivar isComplete: has the response come as its head said?
    @ivar seconds: from the request to the end, in simulated time.
    @ivar begun: when the request was sent, in seconds since the world began.
    """

    def __init__(self, call: Call, heard: Message | None) -> None:
        self._call = call
        self.status = 0 if heard is None else heard.status
        self.fields = [] if heard is None else heard.fields
        self.body = b"" if heard is None else heard.body
        self.isComplete = heard is not None and heard.complete
        self.seconds = round(call.ended - call.begun, 6)
        self.begun = call.begun

    def __repr__(self) -> str:
        tried = " ".join(f"{each.server}={each.status}" for each in self.attempts)
        cut = "" if self.isComplete else " cut"
        return f"<Answer {self.status}{cut} {self.seconds:.3f}s [{tried}]>"

    def __getitem__(self, name: str) -> str | None:
        """
        The value of a field; the first, if there are several.
        """
        for each, value in self.fields:
            if each.lower() == name.lower():
                return value
        return None

    @property
    def text(self) -> str:
        """
        The body as UTF-8.
        """
        return self.body.decode("utf-8", "replace")

    @property
    def isFailure(self) -> bool:
        """
        Is it what a client would call a failure: nothing, a part, or a status from 500
        on?
        """
        return not self.isComplete or self.status >= 500

    @property
    def attempts(self) -> Sequence[Attempt]:
        """
        The servers that were asked for it, in order.
        """
        return self._call.attempts

    @property
    def servers(self) -> list[str]:
        """
        The names of the servers that were asked, in order.
        """
        return [each.server for each in self.attempts]

    @property
    def errors(self) -> list[str]:
        """
        The lines of the error log about it.
        """
        return self._call.errors()

    # ---- assertions -----------------------------------------------------------------

    def _explained(self, what: str) -> str:
        return "\n".join([f"{what}: {self!r}", *self.errors])

    def assertStatus(self, status: int) -> Answer:
        """
        The response is complete and has this status.

        @return: the answer itself.
        """
        if self.status != status or not self.isComplete:
            raise AssertionError(self._explained(f"not a whole {status}"))
        return self

    def assertServers(self, *names: str) -> Answer:
        """
        Exactly these servers were asked, in this order.

        @return: the answer itself.
        """
        if self.servers != list(names):
            raise AssertionError(self._explained(f"not asked: {', '.join(names)}"))
        return self

    def assertWithin(self, seconds: float) -> Answer:
        """
        It took no longer, in simulated time.

        @return: the answer itself.
        """
        if self.seconds > seconds:
            raise AssertionError(self._explained(f"more than {seconds:g} s"))
        return self


class Call:
    """
    One request on a connection of its own.

    @ivar begun: when it was sent, in seconds since the world began.
    @ivar ended: when its end was seen; negative: it is under way.
    @ivar attempts: known once the request is over.
    @ivar number: of the connection in the error log; 0: not known yet.
    """

    def __init__(
        self,
        socket: MemorySocket,
        data: bytes,
        seconds: Callable[[], float],
        log: Sequence[str],
        *,
        headOnly: bool,
    ) -> None:
        self.begun = seconds()
        self.ended = -1.0
        self.attempts: Sequence[Attempt] = ()
        self.number = 0
        self.socket = socket
        self._seconds = seconds
        self._log = log
        self._logBegin = len(log)
        self._headOnly = headOnly
        self._reader = MessageReader(socket)
        self._answer: Answer | None = None
        socket.watcher = self.heard
        socket.deliver(data)

    @property
    def isOver(self) -> bool:
        """
        Has the answer come, or will none?
        """
        return self._answer is not None

    @property
    def answer(self) -> Answer:
        """
        What came.

        @raise AssertionError: it is still under way.
        """
        if self._answer is None:
            raise AssertionError("the request is still under way")
        return self._answer

    def heard(self) -> None:
        """
        Something has come.
        """
        if self._answer is not None:
            return
        found = self._reader.next(headOnly=self._headOnly)
        if found is not None or self.socket.finished:
            self._over(found)

    def _over(self, found: Message | None) -> None:
        self.ended = self._seconds()
        self._answer = Answer(self, found)
        self.socket.hangUp()

    def hangUp(self) -> None:
        """
        The client closes its connection, whether it has its answer or not.
        """
        if self._answer is None:
            self._over(None)

    def finished(self, request: Any, nameOf: Callable[[str], str]) -> None:
        """
        The proxy has finished the request.

        @param nameOf: the name of the server with an address.
        """
        self.number = request.connection.number
        found = []
        for each in request.attempts or ():
            if each is not None:
                address = each.peer.decode("utf-8", "surrogateescape")
                found.append(
                    Attempt(
                        server=nameOf(address),
                        address=address,
                        status=each.status,
                        connectSeconds=_time(each.connectTime),
                        headerSeconds=_time(each.headerTime),
                        seconds=_time(each.responseTime),
                        queueSeconds=_time(each.queueTime),
                    )
                )
        self.attempts = tuple(found)

    def errors(self) -> list[str]:
        """
        The lines of the error log about it.
        """
        mark = f" *{self.number} "
        return [line for line in self._log[self._logBegin :] if mark in line]


def _time(seconds: float) -> float | None:
    return None if seconds < 0 else round(seconds, 6)


def requestBytes(
    method: str,
    target: str,
    body: bytes | str | None,
    fields: Mapping[str, str],
    host: str,
) -> bytes:
    """
    A request as it is sent.
    """
    data = body.encode() if isinstance(body, str) else body
    lines = [f"{name}: {value}" for name, value in fields.items()]
    given = {name.lower() for name in fields}
    if "host" not in given:
        lines.insert(0, f"Host: {host}")
    if data is not None and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(data)}")
    return message(f"{method} {target} HTTP/1.1", lines, data or b"")
