"""
What asks the name servers: a client of C{twisted.names} whose sockets can be closed.

nginx: C{ngx_resolver_send_query()}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from .answer import NOT_FOUND, SERVER_FAILURE, TIMED_OUT

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

_log = Logger()

#: Seconds after which the next name server is asked.
RESEND = 5.0


class INameClient(Protocol):
    """
    What asks the name servers.  A question fires with the records of the answer, the
    authority and the additional section, or fails as C{twisted.names.client} does.
    """

    def lookupAddress(self, name: bytes) -> Deferred[Any]:
        """
        Ask for C{A}.
        """

    def lookupIPV6Address(self, name: bytes) -> Deferred[Any]:
        """
        Ask for C{AAAA}.
        """

    def lookupService(self, name: bytes) -> Deferred[Any]:
        """
        Ask for C{SRV}.
        """

    def nextServer(self) -> None:
        """
        Ask another server first from now on.
        """

    def close(self) -> None:
        """
        Close all sockets; questions that are open get no answer.
        """


def nameClient(servers: Sequence[tuple[str, int]], reactor: Any) -> INameClient:
    """
    A client that asks each of C{servers} once, one after the other.

    C{twisted.names} is imported only here: most configurations need no resolver.
    """
    from twisted.names import client, dns
    from twisted.names.error import DNSQueryTimeoutError

    class Factory(client.DNSClientFactory):
        """
        TCP for answers that were too long, on our reactor instead of the global one.
        """

        noisy = False

        def startedConnecting(self, connector: Any) -> None:
            self.controller.connectors.add(connector)

        def buildProtocol(self, addr: Any) -> Any:
            made = dns.DNSProtocol(self.controller, reactor)
            made.factory = self
            return made

        def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
            self.controller.connectors.discard(connector)
            super().clientConnectionFailed(connector, reason)

        def clientConnectionLost(self, connector: Any, reason: Any) -> None:
            self.controller.connectors.discard(connector)

    class Client(client.Resolver):
        """
        A client whose sockets can be closed.
        """

        def __init__(self) -> None:
            super().__init__(servers=list(servers), timeout=(RESEND,), reactor=reactor)
            self.factory = Factory(self, RESEND)
            self.sockets: set[Any] = set()
            self.connectors: set[Any] = set()
            self.answering = servers[0]

        def nextServer(self) -> None:
            self.servers.append(self.servers.pop(0))

        def pickServer(self) -> Any:
            # Asked for TCP only: by the server that had more to say.
            return self.answering

        def _connectedProtocol(self, interface: str = "") -> Any:
            made = super()._connectedProtocol(interface)
            self.sockets = {each for each in self.sockets if each.transport}
            self.sockets.add(made)
            return made

        def _query(self, *args: Any) -> Any:
            def answered(message: Any) -> Any:
                self.answering = args[0]
                return message

            def unanswered(reason: Failure) -> Failure:
                # A network that cannot be reached: on to the next server, at once.
                if reason.check(OSError):
                    return Failure(DNSQueryTimeoutError(None))
                return reason

            return super()._query(*args).addCallbacks(answered, unanswered)

        def close(self) -> None:
            for made in (*self.sockets, *self.connections):
                if made.transport:
                    for _, timer in made.liveMessages.values():
                        timer.cancel()
                    made.liveMessages = {}
            for made in self.sockets:
                if made.transport:
                    made.transport.stopListening()
            for connector in list(self.connectors):
                connector.disconnect()

    made: Any = Client()
    answer: INameClient = made
    return answer


def codeOf(reason: Failure) -> int:
    """
    The code of a failure, as a name server would give it.
    """
    from twisted.names.error import DomainError

    if reason.check(TimeoutError):
        return TIMED_OUT
    if reason.check(DomainError):
        # What the client makes of an answer with a code has the answer with it.
        said = getattr(reason.value, "args", None) or (None,)
        return int(getattr(said[0], "rCode", 0)) or NOT_FOUND
    _log.error(
        "a name server could not be asked: {reason}",
        reason=reason.getErrorMessage(),
    )
    return SERVER_FAILURE
