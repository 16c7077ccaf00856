"""
Names that are known only when a request comes: asks the name servers of C{resolver}.

Both families are asked at once, all who wait for a name share one question, and
answers are kept for as long as they say.  Neither C{/etc/hosts} nor
C{/etc/resolv.conf} is read.

nginx: C{ngx_resolver_create()}, C{ngx_resolve_name()}, C{ngx_resolver_process_a()} in
C{core/ngx_resolver.c}
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import TimeoutError, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config.values import parseTime
from ..net.sockaddr import lookUp as systemLookUp
from ..net.sockaddr import parseAddress, parseLiteral

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ..config.syntax import Node

#: Seconds after which the next name server is asked.
RESEND = 5.0
#: Seconds for which an answer that nobody asks for is kept.
UNUSED = 30.0
#: A name may be an alias of an alias … this often.
MAX_ALIASES = 50

_PORT = 53
_A = 1
_CNAME = 5
_AAAA = 28
_SRV = 33

#: The code of a name that does not exist, or has nothing of what was asked for.
NOT_FOUND = 3
_SERVER_FAILURE = 2
_REFUSED = 5
_TIMED_OUT = 110
_TEXTS = {
    1: "Format error",
    _SERVER_FAILURE: "Server failure",
    NOT_FOUND: "Host not found",
    4: "Unimplemented",
    _REFUSED: "Operation refused",
    _TIMED_OUT: "Operation timed out",
}

#: Seconds for which a failure is believed where C{valid=} says nothing.
_FAILURE_VALID = 10.0

#: Takes the addresses.
Resolved = Callable[[Sequence[str]], None]
#: Takes the message for the log.
Failed = Callable[[str], None]

#: A name, and whether as a service.
_Key = tuple[str, bool]


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


@dataclass(frozen=True, slots=True)
class Service:
    """
    One C{SRV} record.

    @ivar name: of the host that serves.
    """

    priority: int
    weight: int
    port: int
    name: str


@dataclass(slots=True)
class Answer:
    """
    What has been found out of a name.

    @ivar code: of the first failure, as name servers give it; 0: none.  One family
        may have failed while the other has addresses.
    @ivar addresses: IPv4 first.
    @ivar services: in the order of their priorities, where they were asked for.
    @ivar until: when it is to be asked for again, on the resolver's clock.
    @ivar used: when somebody wanted it last.
    """

    name: str
    code: int
    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    until: float = 0.0
    used: float = 0.0

    @property
    def failure(self) -> int:
        """
        The code of what makes this answer useless, or 0.

        A family that does not exist does no harm to the other one.
        """
        if not self.addresses and not self.services:
            return self.code or NOT_FOUND
        return 0 if self.code == NOT_FOUND else self.code


#: Takes what was found, or why nothing was.
Answered = Callable[[Answer], None]


class _Waiter:
    """
    One who waits for a name.
    """

    __slots__ = ("answered", "query", "timer")

    def __init__(self, query: _Query, answered: Answered) -> None:
        self.query = query
        self.answered = answered
        self.timer: IDelayedCall | None = None

    def leave(self) -> None:
        """
        Wait no longer; nothing is called any more.
        """
        timer = self.timer
        if timer is not None:
            self.timer = None
            timer.cancel()
            self.query.waiters.remove(self)


class _Query:
    """
    A name that is being asked for.

    @ivar key: the name that was wanted, and whether as a service.
    @ivar families: what is asked for.
    @ivar target: the name that is asked for: the same, or what it is an alias of.
    @ivar open: families without an answer.
    @ivar addresses: by family.
    @ivar services: what C{SRV} records say.
    @ivar alias: what C{target} is an alias of.
    @ivar code: of the first failure; 0: none.
    @ivar ttl: the shortest of all records, seconds.
    """

    __slots__ = (
        "addresses",
        "alias",
        "aliases",
        "asked",
        "code",
        "families",
        "key",
        "open",
        "services",
        "target",
        "ttl",
        "waiters",
    )

    def __init__(self, key: _Key, families: Sequence[int]) -> None:
        self.key = key
        self.families = families
        self.waiters: list[_Waiter] = []
        self.aliases = 0
        self.code = 0
        self.asked = 0.0
        self.begin(key[0].encode("utf-8", "surrogateescape"))

    def begin(self, target: bytes) -> None:
        """
        Forget what is known, C{target} is to be asked for.
        """
        self.target = target
        self.open: set[int] = set()
        self.addresses: dict[int, list[str]] = {}
        self.services: list[Service] = []
        self.alias: bytes | None = None
        self.code = 0
        self.ttl: int | None = None

    def read(self, family: int, records: Sequence[Any]) -> None:
        """
        Take the answer section of one family's message.

        Like nginx we take every address in it: whoever could smuggle one in could
        as well have answered something else.
        """
        aliases: dict[bytes, bytes] = {}
        found: list[str] = []
        for record in records:
            # The upper half stands for negative numbers, which mean nothing.
            ttl = record.ttl if 0 <= record.ttl < 1 << 31 else 0
            self.ttl = ttl if self.ttl is None else min(self.ttl, ttl)
            if family == record.type == _SRV:
                said = record.payload
                name = said.target.name.decode("utf-8", "surrogateescape")
                self.services.append(
                    Service(said.priority, said.weight or 1, said.port, name)
                )
            elif record.type == family:
                form = socket.AF_INET if family == _A else socket.AF_INET6
                found.append(socket.inet_ntop(form, record.payload.address))
            elif record.type == _CNAME:
                aliases[record.name.name.lower()] = record.payload.name.name
        self.addresses[family] = found
        self.services.sort(key=lambda service: service.priority)
        if aliases and not found and not self.services:
            alias = self.target
            # A ring of aliases ends it, too: each one is used once.
            while (following := aliases.pop(alias.lower(), None)) is not None:
                alias = following
            if alias != self.target:
                self.alias = alias

    def found(self) -> tuple[str, ...]:
        """
        All addresses so far, IPv4 first.
        """
        return (*self.addresses.get(_A, ()), *self.addresses.get(_AAAA, ()))


class Resolver:
    """
    The name servers of one C{resolver} line, and what they have said.
    """

    _log = Logger()

    def __init__(
        self,
        words: Sequence[str],
        node: Node,
        clock: IReactorTime,
        timeout: float,
        *,
        client: INameClient | None = None,
        random: Random | None = None,
        lookUp: Callable[[str], Sequence[str]] = systemLookUp,
    ) -> None:
        """
        @param words: the arguments of the directive.
        @param node: the directive, for errors.
        @param clock: the reactor: it is given to C{twisted.names}, too.
        @param timeout: seconds until one who waits is told that it failed; see
            C{resolver_timeout}.
        @param client: asks the servers; C{None}: made when the first name is wanted.
        @param random: decides which address comes first.
        @param lookUp: finds the addresses of a name server that is given by name; may
            block.
        @raise ConfigError: C{words} are wrong.
        """
        self.timeout = timeout
        self._clock = clock
        self._client = client
        self._random = Random() if random is None else random
        self._valid = 0.0
        self._families = [_A, _AAAA]
        self._servers: list[tuple[str, int]] = []
        self._closed = False
        # Least recently used first.
        self._answers: dict[_Key, Answer] = {}
        self._queries: dict[_Key, _Query] = {}
        self._configure(words, node, lookUp)

    def _configure(
        self,
        words: Sequence[str],
        node: Node,
        lookUp: Callable[[str], Sequence[str]],
    ) -> None:
        """
        Read the arguments.  nginx: C{ngx_resolver_create()}
        """
        families = {"ipv4": True, "ipv6": True}
        for index, word in enumerate(words):
            name, _, value = word.partition("=")
            if word.startswith("valid="):
                try:
                    self._valid = parseTime(value, milliseconds=False)
                except ValueError:
                    raise node.error(f"invalid parameter: {word}", word=index) from None
            elif word.startswith(("ipv4=", "ipv6=")):
                if value not in ("on", "off"):
                    raise node.error(f"invalid parameter: {word}", word=index)
                families[name] = value == "on"
            else:
                try:
                    self._servers += _serverAddresses(word, lookUp)
                except ValueError as e:
                    raise node.error(f'{e} in resolver "{word}"', word=index) from None
        if not any(families.values()):
            raise node.error('"ipv4" and "ipv6" cannot both be "off"')
        if not self._servers:
            raise node.error("no name servers defined")
        if not families["ipv4"]:
            self._families.remove(_A)
        if not families["ipv6"]:
            self._families.remove(_AAAA)

    # ---- those who want a name ------------------------------------------------------

    def resolve(
        self,
        name: str,
        resolved: Resolved,
        failed: Failed,
        *,
        timeout: float | None = None,
    ) -> Callable[[], None]:
        """
        Find the addresses of C{name}.

        @param resolved: called once with one address or more, possibly at once.
        @param failed: called instead with a message for the log, possibly at once.
        @param timeout: seconds; C{None}: as the resolver's.
        @return: cancels: nothing is called any more.  May be called at any time.

        nginx: C{ngx_resolve_name()}
        """
        literal = parseLiteral(name)
        if literal is not None:
            resolved([literal])
            return _nothing

        kept = True

        def answered(answer: Answer) -> None:
            # A server that does not answer to one family should not make the name
            # useless.
            addresses = answer.addresses
            if addresses:
                # Those who have waited get them as they came, later ones in turn.
                resolved(self._rotated(addresses) if kept else list(addresses))
            else:
                failed(failureText(answer.name, answer.failure))

        leave = self.look(name, answered, timeout=timeout, partial=True)
        kept = False
        return leave

    def look(
        self,
        name: str,
        answered: Answered,
        *,
        timeout: float | None = None,
        service: bool = False,
        partial: bool = False,
    ) -> Callable[[], None]:
        """
        Find out of C{name} what there is to know.

        @param answered: called once, possibly at once.
        @param timeout: seconds; C{None}: as the resolver's.
        @param service: C{SRV} records are wanted instead of addresses.
        @param partial: the addresses of one family are fine, if the other has failed.
        @return: cancels: nothing is called any more.  May be called at any time.
        """
        name = name.removesuffix(".").lower()
        key = (name, service)
        now = self._clock.seconds()
        self._expire(now)
        answer = self._answers.pop(key, None)
        if answer is not None and now < answer.until:
            if partial or not answer.failure:
                answer.used = now
                self._answers[key] = answer
                answered(answer)
                return _nothing
        if self._closed or not _isName(name):
            code = _REFUSED if self._closed else NOT_FOUND
            answered(Answer(name, code, until=now + self._failureValid))
            return _nothing
        query = self._queries.get(key)
        isNew = query is None
        if query is None:
            families = (_SRV,) if service else self._families
            query = self._queries[key] = _Query(key, families)
        waiter = _Waiter(query, answered)
        seconds = self.timeout if timeout is None else timeout
        waiter.timer = self._clock.callLater(seconds, self._timedOut, waiter)
        query.waiters.append(waiter)
        if isNew:
            self._ask(query, query.families)
        return waiter.leave

    def close(self) -> None:
        """
        Close all sockets and forget everything; whoever waits is not called any more.
        """
        self._closed = True
        for query in self._queries.values():
            for waiter in query.waiters[:]:
                waiter.leave()
        self._queries.clear()
        self._answers.clear()
        if self._client is not None:
            self._client.close()

    def _timedOut(self, waiter: _Waiter) -> None:
        """
        One has waited long enough.  The question stays, others may wait for it.
        """
        query = waiter.query
        waiter.timer = None
        query.waiters.remove(waiter)
        until = self._clock.seconds() + self._failureValid
        self._tell(waiter, Answer(query.key[0], _TIMED_OUT, query.found(), until=until))

    @property
    def _failureValid(self) -> float:
        return self._valid or _FAILURE_VALID

    def _tell(self, waiter: _Waiter, answer: Answer) -> None:
        try:
            waiter.answered(answer)
        except Exception:
            # The others that wait must hear of it.
            self._log.failure("a resolver's callback failed")

    def _rotated(self, addresses: tuple[str, ...]) -> list[str]:
        """
        The addresses in order, from any of them on.  nginx: C{ngx_resolver_export()}
        """
        start = self._random.randrange(len(addresses)) if len(addresses) > 1 else 0
        return [*addresses[start:], *addresses[:start]]

    def _expire(self, now: float) -> None:
        """
        Drop what nobody has used for long.  nginx: C{ngx_resolver_expire()}
        """
        answers = self._answers
        while answers:
            key = next(iter(answers))
            if now - answers[key].used <= UNUSED:
                return
            del answers[key]

    # ---- questions ------------------------------------------------------------------

    def _ask(self, query: _Query, families: Sequence[int]) -> None:
        """
        Ask for what there is of C{query.target} in C{families}.
        """
        client = self._client
        if client is None:
            client = self._client = nameClient(self._servers, self._clock)
        query.asked = self._clock.seconds()
        query.open.update(families)
        target = query.target
        questions: list[Deferred[Any]] = []
        for family in families:
            if family == _SRV:
                asking = client.lookupService
            elif family == _A:
                asking = client.lookupAddress
            else:
                asking = client.lookupIPV6Address
            questions.append(maybeDeferred(asking, target))
        # Both families begin with the same server, the next name with another one.
        client.nextServer()
        for family, question in zip(families, questions, strict=True):
            question.addBoth(self._answered, query, family)

    def _answered(self, result: Any, query: _Query, family: int) -> None:
        """
        One family's answer, or its failure.
        """
        if self._closed:
            return
        if isinstance(result, Failure):
            code = self._codeOf(result)
            # Who came late still has time.  A client that gives up at once, as it
            # cannot send, would do so again.
            if (
                code == _TIMED_OUT
                and query.waiters
                and self._clock.seconds() - query.asked >= 1
            ):
                self._ask(query, [family])
                return
            query.code = query.code or code
        else:
            query.read(family, result[0])
        query.open.discard(family)
        if not query.open:
            self._answeredAll(query)

    def _answeredAll(self, query: _Query) -> None:
        """
        There is nothing left to wait for: tell, keep, or follow an alias.
        """
        addresses = query.found()
        isFound = bool(addresses or query.services)
        if not isFound and query.alias is not None:
            query.aliases += 1
            if query.aliases <= MAX_ALIASES and _isName(
                query.alias.decode("utf-8", "surrogateescape")
            ):
                query.begin(query.alias)
                self._ask(query, query.families)
                return
            query.code = NOT_FOUND
        del self._queries[query.key]
        now = self._clock.seconds()
        lifetime = self._valid or query.ttl or 0
        answer = Answer(
            query.key[0],
            query.code,
            addresses,
            tuple(query.services),
            now + (lifetime if isFound else self._failureValid),
            now,
        )
        if isFound and lifetime:
            self._answers[query.key] = answer
        while query.waiters:
            waiter = query.waiters[0]
            waiter.leave()
            self._tell(waiter, answer)

    def _codeOf(self, reason: Failure) -> int:
        """
        The code of a failure, as a name server would give it.
        """
        from twisted.names.error import DomainError

        if reason.check(TimeoutError):
            return _TIMED_OUT
        if reason.check(DomainError):
            # What the client makes of an answer with a code has the answer with it.
            said = getattr(reason.value, "args", None) or (None,)
            return int(getattr(said[0], "rCode", 0)) or NOT_FOUND
        self._log.error(
            "a name server could not be asked: {reason}",
            reason=reason.getErrorMessage(),
        )
        return _SERVER_FAILURE


class Resolvers:
    """
    The resolvers of one C{http} or C{stream}: equal lines share one.
    """

    def __init__(self, make: Callable[[Sequence[str], Node, float], Any]) -> None:
        """
        @param make: takes words, line and time-out in seconds.
        """
        self._make = make
        self._made: dict[tuple[tuple[str, ...], float], Any] = {}

    def of(self, words: Sequence[str], timeout: float, node: Node) -> Any:
        """
        The resolver of a line.

        @raise ConfigError: it is wrong.
        """
        key = (tuple(words), timeout)
        if key not in self._made:
            self._made[key] = self._make(words, node, timeout)
        return self._made[key]

    def close(self) -> None:
        """
        Nobody asks any more.
        """
        for resolver in self._made.values():
            resolver.close()


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


def _serverAddresses(
    word: str, lookUp: Callable[[str], Sequence[str]]
) -> list[tuple[str, int]]:
    """
    The addresses of one name server as written.

    @raise ValueError: there are none; with nginx's words.
    """
    address = parseAddress(word, _PORT)
    if isinstance(address.sockaddr, str):
        raise ValueError("invalid host")
    if address.sockaddr is not None:
        return [(address.host, address.port)]
    try:
        return [(host, address.port) for host in lookUp(address.host)]
    except OSError:
        raise ValueError("host not found") from None


def _isName(name: str) -> bool:
    """
    Can this be asked for?
    """
    octets = name.encode("utf-8", "surrogateescape")
    return len(octets) <= 253 and all(0 < len(s) < 64 for s in octets.split(b"."))


def failureText(what: str, code: int) -> str:
    """
    The line of a log for what could not be found.
    """
    text = _TEXTS.get(code, "Unknown error")
    return f"{what} could not be resolved ({code}: {text})"


def _nothing() -> None:
    """
    Cancels what is over.
    """
