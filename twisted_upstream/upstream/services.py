"""
What a server's name stands for: addresses, or services (C{SRV}) and the addresses of
the hosts that serve.

nginx: C{ngx_resolver_resolve_srv_names()}, C{ngx_resolver_srv_names_handler()},
C{ngx_resolver_report_srv()} in C{core/ngx_resolver.c}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .answer import NOT_FOUND, Answer, Answered


class INames(Protocol):
    """
    What L{lookUpTargets} asks: a L{twisted_upstream.upstream.resolve.Resolver}.
    """

    def look(
        self,
        name: str,
        answered: Answered,
        *,
        timeout: float | None = None,
        service: bool = False,
    ) -> Callable[[], None]:
        """
        Find out what there is to know of C{name}; returns what cancels.
        """


@dataclass(frozen=True, slots=True)
class Target:
    """
    One address.

    @ivar name: of the host that has it, where a service was asked for.
    @ivar port: likewise; else 0.
    @ivar weight: likewise.
    @ivar priority: likewise: those with the lowest one are asked first.
    """

    address: str
    name: str = ""
    port: int = 0
    weight: int = 1
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a name stands for now.

    @ivar code: of the failure, as name servers give it; 0: none.
    @ivar until: when it is to be asked for again.
    @ivar failures: hosts of a service that could not be found, and the code of each.
    """

    code: int
    targets: Sequence[Target]
    until: float
    failures: Sequence[tuple[str, int]] = ()


def serviceName(service: str, name: str) -> str:
    """
    The name that is asked for: C{http} of C{x.test} is C{_http._tcp.x.test}.
    """
    return f"{service}.{name}" if "." in service else f"_{service}._tcp.{name}"


def lookUpTargets(
    names: INames,
    name: str,
    service: str,
    timeout: float,
    found: Callable[[Found], None],
) -> Callable[[], None]:
    """
    Find what C{name} stands for.

    @param service: empty: none.
    @param timeout: seconds; for the service, and again for its hosts.
    @param found: called once, possibly at once.
    @return: cancels: nothing is called any more.  May be called at any time.
    """
    if service:
        return _ServiceLookUp(names, timeout, found).begin(serviceName(service, name))

    def answered(answer: Answer) -> None:
        code = answer.failure
        targets = () if code else tuple(Target(each) for each in answer.addresses)
        found(Found(code, targets, answer.until))

    return names.look(name, answered, timeout=timeout)


class _ServiceLookUp:
    """
    Asks for a service, then for all of its hosts at once.
    """

    def __init__(
        self, names: INames, timeout: float, found: Callable[[Found], None]
    ) -> None:
        self._names = names
        self._timeout = timeout
        self._found = found
        self._cancels: list[Callable[[], None]] = []
        self._service: Answer | None = None
        self._hosts: dict[str, Answer] = {}
        self._left = 0

    def begin(self, name: str) -> Callable[[], None]:
        """
        Ask.

        @return: cancels.
        """
        self._cancels.append(
            self._names.look(name, self._answered, timeout=self._timeout, service=True)
        )
        return self._cancel

    def _cancel(self) -> None:
        for cancel in self._cancels:
            cancel()

    def _answered(self, answer: Answer) -> None:
        if answer.failure:
            self._found(Found(answer.failure, (), answer.until))
            return
        self._service = answer
        hosts = dict.fromkeys(each.name for each in answer.services)
        self._left = len(hosts)
        for host in hosts:
            self._askHost(host)

    def _askHost(self, host: str) -> None:
        def answered(answer: Answer) -> None:
            self._hosts[host] = answer
            self._left -= 1
            if not self._left:
                self._end()

        self._cancels.append(self._names.look(host, answered, timeout=self._timeout))

    def _end(self) -> None:
        assert self._service is not None
        hosts = self._hosts
        services = self._service.services
        failures = [
            (each.name, hosts[each.name].failure)
            for each in services
            if hosts[each.name].failure
        ]
        targets = [
            Target(address, each.name, each.port, each.weight, each.priority)
            for each in services
            if not hosts[each.name].failure
            for address in hosts[each.name].addresses
        ]
        if targets:
            code = 0
            until = min(
                answer.until
                for answer in (self._service, *hosts.values())
                if not answer.failure
            )
        else:
            codes = [code for _, code in failures]
            code = NOT_FOUND if NOT_FOUND in codes else codes[0]
            until = min(answer.until for answer in hosts.values())
        self._found(Found(code, targets, until, failures))
