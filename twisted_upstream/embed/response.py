"""
A response as C{twisted.web} has it: C{IResponse}, whose body is delivered at the pace
of whoever takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface import implementer

from .passing import findFields

if TYPE_CHECKING:
    from ..wire.head import ResponseHead
    from .asking import AgentRequest

_DONE = Failure(ResponseDone())
_LOSS = Failure(PotentialDataLoss())


@implementer(IClientRequest)
class ClientRequest:
    """
    What was asked for.
    """

    __slots__ = ("_headers", "absoluteURI", "method")

    def __init__(self, method: bytes, uri: bytes, headers: Headers | None) -> None:
        self.method = method
        self.absoluteURI = uri
        self._headers = headers

    @property
    def headers(self) -> Headers:
        """
        Of the request, as they were given.
        """
        if self._headers is None:
            self._headers = Headers()
        return self._headers


@implementer(IResponse)
class AgentResponse:
    """
    A response, whose body may still be coming.

    @ivar version: C{(b"HTTP", 1, 1)}.
    @ivar code: its status.
    @ivar phrase: what stands after it.
    @ivar length: bytes of the body, or C{UNKNOWN_LENGTH}.
    @ivar request: what it answers.
    @ivar previousResponse: whose redirection has led here, or C{None}.
    @ivar peer: the address of the server that has answered.
    """

    __slots__ = (
        "_fields",
        "_headers",
        "_type",
        "body",
        "code",
        "length",
        "peer",
        "phrase",
        "previousResponse",
        "request",
        "version",
    )

    def __init__(
        self, head: ResponseHead, asking: AgentRequest, peer: bytes, complete: bool
    ) -> None:
        """
        @param asking: whose body it is.
        @param complete: is all of the body there?
        """
        self.version = (b"HTTP", 1, 1)
        self.code = head.status
        self.phrase = head.text[4:]
        self._fields = head.fields
        self._type = head.contentType
        self._headers: Headers | None = None
        length: Any = head.contentLength
        if head.noBody:
            length = 0
        elif length is None:
            length = UNKNOWN_LENGTH
        self.length = length
        self.request: Any = asking.asked
        self.previousResponse: Any = None
        self.peer = peer.decode("utf-8", "surrogateescape")
        self.body = Body(asking)

    def __repr__(self) -> str:
        return f"<AgentResponse {self.code} of {self.peer}>"

    @property
    def headers(self) -> Headers:
        """
        The fields, less those for the connection.
        """
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers()
            if self._type is not None:
                headers.addRawHeader(b"Content-Type", self._type)
            for name, value in findFields(self._fields):
                headers.addRawHeader(name, value)
        return headers

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Deliver the body: what is there now, and what comes.  Once.
        """
        self.body.deliver(protocol)

    def setPreviousResponse(self, response: IResponse) -> None:
        """
        C{response} has led here.
        """
        self.previousResponse = response


@implementer(IPushProducer, ITransport)
class Body:
    """
    The body of one response on its way to a protocol, whose transport it is.

    @ivar held: bytes that nobody has taken yet.
    """

    __slots__ = ("_asking", "_end", "_parts", "_paused", "_protocol", "held")

    #: Line receivers look at it.
    disconnecting = False

    def __init__(self, asking: AgentRequest) -> None:
        self._asking: AgentRequest | None = asking
        self._protocol: Any = None
        self._parts: list[bytes] = []
        self._end: Failure | None = None
        self._paused = True
        self.held = 0

    @property
    def isWanted(self) -> bool:
        """
        Has anybody asked for it?
        """
        return self._protocol is not None

    def deliver(self, protocol: Any) -> None:
        """
        C{protocol} takes it.
        """
        if self._protocol is not None:
            raise RuntimeError("the body is being delivered already")
        self._protocol = protocol
        # What is there waits until the protocol is ready; it may want to pause at once.
        self._paused = False
        protocol.makeConnection(self)
        self._flush()

    def received(self, data: bytes) -> None:
        """
        More of it has come.
        """
        if self._paused or self._parts:
            self._parts.append(data)
            self.held += len(data)
        else:
            self._protocol.dataReceived(data)

    def ended(self, reason: Failure | None) -> None:
        """
        No more comes.

        @param reason: C{None}: it is complete.
        """
        self._asking = None
        if self._end is None:
            self._end = _DONE if reason is None else reason
            if not self._paused and not self._parts:
                self._tellEnd()

    def endedByClose(self) -> None:
        """
        The server has closed the connection: nothing else says that it is complete.
        """
        self.ended(_LOSS)

    def _tellEnd(self) -> None:
        end, self._end = self._end, _DONE
        protocol = self._protocol
        self._paused = True
        assert end is not None
        protocol.connectionLost(end)

    # ---- for the protocol -----------------------------------------------------------

    def pauseProducing(self) -> None:
        """
        Deliver nothing for now.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Deliver again.
        """
        if self._paused and self._protocol is not None:
            self._paused = False
            self._flush()

    def _flush(self) -> None:
        """
        Deliver what is there, as long as it is wanted.
        """
        parts = self._parts
        while parts and not self._paused:
            if len(parts) > 1:
                parts[:] = [b"".join(parts)]
            data = parts.pop()
            self.held = 0
            self._protocol.dataReceived(data)
        if self._paused:
            return
        if self._end is not None:
            self._tellEnd()
        elif self._asking is not None:
            self._asking.drained()

    @property
    def isPaused(self) -> bool:
        """
        Does the protocol want nothing now?
        """
        return self._paused

    def stopProducing(self) -> None:
        """
        The rest is not wanted, as in all that follow.
        """
        asking = self._asking
        if asking is not None:
            asking.abort()

    def loseConnection(self) -> None:
        self.stopProducing()

    def abortConnection(self) -> None:
        self.stopProducing()

    def write(self, data: bytes) -> None:
        """
        Part of C{ITransport}, as all that follow: nothing can be said here.
        """

    def writeSequence(self, data: Any) -> None:
        return None

    def getPeer(self) -> Any:
        return None

    def getHost(self) -> Any:
        return None


def failed(*reasons: BaseException) -> Failure:
    """
    The end of a body that is not complete.
    """
    return Failure(ResponseFailed([Failure(each) for each in reasons]))
