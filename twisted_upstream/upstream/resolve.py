"""
Names that are known only when a request comes: asks the name servers of C{resolver}.

Both families are asked at once, all who wait for a name share one question, and
answers are kept for as long as they say.  Neither C{/etc/hosts} nor
C{/etc/resolv.conf} is read.

nginx: C{ngx_resolver_create()}, C{ngx_resolve_name()}, C{ngx_resolver_process_a()} in
C{core/ngx_resolver.c}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config.values import parseTime
from ..net.sockaddr import lookUp as systemLookUp
from ..net.sockaddr import parseAddress, parseLiteral
from .answer import (
    NOT_FOUND,
    REFUSED,
    TIMED_OUT,
    Answer,
    Answered,
    failureText,
)
from .name_client import INameClient, codeOf, nameClient
from .question import AAAA, SRV, A, Key, Question, Waiter, isName

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from ..config.syntax import Node

#: Seconds for which an answer that nobody asks for is kept.
UNUSED = 30.0
#: A name may be an alias of an alias … this often.
MAX_ALIASES = 50

_PORT = 53

#: Seconds for which a failure is believed where C{valid=} says nothing.
_FAILURE_VALID = 10.0

#: Takes the addresses.
Resolved = Callable[[Sequence[str]], None]
#: Takes the message for the log.
Failed = Callable[[str], None]


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
        self._families = [A, AAAA]
        self._servers: list[tuple[str, int]] = []
        self._closed = False
        # Least recently used first.
        self._answers: dict[Key, Answer] = {}
        self._open: dict[Key, Question] = {}
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
            self._families.remove(A)
        if not families["ipv6"]:
            self._families.remove(AAAA)

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
        if self._closed or not isName(name):
            code = REFUSED if self._closed else NOT_FOUND
            answered(Answer(name, code, until=now + self._failureValid))
            return _nothing
        question = self._open.get(key)
        isNew = question is None
        if question is None:
            families = (SRV,) if service else self._families
            question = self._open[key] = Question(key, families)
        waiter = Waiter(question, answered)
        seconds = self.timeout if timeout is None else timeout
        waiter.timer = self._clock.callLater(seconds, self._timedOut, waiter)
        question.waiters.append(waiter)
        if isNew:
            self._ask(question, question.families)
        return waiter.leave

    def close(self) -> None:
        """
        Close all sockets and forget everything; whoever waits is not called any more.
        """
        self._closed = True
        for question in self._open.values():
            for waiter in question.waiters[:]:
                waiter.leave()
        self._open.clear()
        self._answers.clear()
        if self._client is not None:
            self._client.close()

    def _timedOut(self, waiter: Waiter) -> None:
        """
        One has waited long enough.  The question stays, others may wait for it.
        """
        question = waiter.question
        waiter.timer = None
        question.waiters.remove(waiter)
        until = self._clock.seconds() + self._failureValid
        self._tell(
            waiter, Answer(question.key[0], TIMED_OUT, question.found(), until=until)
        )

    @property
    def _failureValid(self) -> float:
        return self._valid or _FAILURE_VALID

    def _tell(self, waiter: Waiter, answer: Answer) -> None:
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

    def _ask(self, question: Question, families: Sequence[int]) -> None:
        """
        Ask for what there is of C{question.target} in C{families}.
        """
        client = self._client
        if client is None:
            client = self._client = nameClient(self._servers, self._clock)
        question.asked = self._clock.seconds()
        question.open.update(families)
        target = question.target
        sent: list[Deferred[Any]] = []
        for family in families:
            if family == SRV:
                asking = client.lookupService
            elif family == A:
                asking = client.lookupAddress
            else:
                asking = client.lookupIPV6Address
            sent.append(maybeDeferred(asking, target))
        # Both families begin with the same server, the next name with another one.
        client.nextServer()
        for family, each in zip(families, sent, strict=True):
            each.addBoth(self._answered, question, family)

    def _answered(self, result: Any, question: Question, family: int) -> None:
        """
        One family's answer, or its failure.
        """
        if self._closed:
            return
        if isinstance(result, Failure):
            code = codeOf(result)
            # Who came late still has time.  A client that gives up at once, as it
            # cannot send, would do so again.
            if (
                code == TIMED_OUT
                and question.waiters
                and self._clock.seconds() - question.asked >= 1
            ):
                self._ask(question, [family])
                return
            question.code = question.code or code
        else:
            question.read(family, result[0])
        question.open.discard(family)
        if not question.open:
            self._answeredAll(question)

    def _answeredAll(self, question: Question) -> None:
        """
        There is nothing left to wait for: tell, keep, or follow an alias.
        """
        addresses = question.found()
        isFound = bool(addresses or question.services)
        if not isFound and question.alias is not None:
            question.aliases += 1
            if question.aliases <= MAX_ALIASES and isName(
                question.alias.decode("utf-8", "surrogateescape")
            ):
                question.begin(question.alias)
                self._ask(question, question.families)
                return
            question.code = NOT_FOUND
        del self._open[question.key]
        now = self._clock.seconds()
        lifetime = self._valid or question.ttl or 0
        answer = Answer(
            question.key[0],
            question.code,
            addresses,
            tuple(question.services),
            now + (lifetime if isFound else self._failureValid),
            now,
        )
        if isFound and lifetime:
            self._answers[question.key] = answer
        while question.waiters:
            waiter = question.waiters[0]
            waiter.leave()
            self._tell(waiter, answer)


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


def _nothing() -> None:
    """
    Cancels what is over.
    """
