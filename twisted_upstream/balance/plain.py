"""
Directives that are one word: C{least_conn;}, C{ip_hash;}, C{iwrr;}.

nginx: C{NGX_CONF_NOARGS}
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IPeerInit


@implementer(IBalancer)
class PlainDirective:
    """
    C{DIRECTIVE;}: a method of choosing a server that there is nothing to say about.
    """

    layer = 0

    def __init__(
        self,
        directive: str,
        make: Callable[[], IPeerInit],
        *,
        backup: bool = True,
        refuses: frozenset[str] = frozenset(),
    ) -> None:
        """
        @param make: called once per group.
        @param backup: may C{server} lines after it be C{backup}?
        @param refuses: further parameters that these lines must not have.
        """
        self.directive = directive
        self.backup = backup
        self.refuses = refuses
        self._make = make

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: there are arguments.
        """
        if line.arguments:
            raise line.error(
                f'invalid number of arguments in "{self.directive}" directive'
            )
        return self._make()
