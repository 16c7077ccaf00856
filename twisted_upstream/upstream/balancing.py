"""
How C{upstream{}} says that a server is chosen: a method, and the layers around it.

nginx: C{ngx_http_upstream_srv_conf_t.peer}, C{ngx_http_upstream_srv_conf_t.flags}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import make_dataclass
from typing import Any

from zope.interface import implementer

from .. import plugins
from ..balance.round_robin import RoundRobin
from ..config.build import Block
from ..config.directive import Where, directive, words
from ..config.syntax import ConfigError, Node
from ..config.values import Template, Variable
from ..config.zones import Zones
from ..interfaces import IBalancer, IBalancerLine, IClient, IKept, IPeerInit
from .surroundings import Surroundings


@implementer(IBalancerLine)
class BalancerLine:
    """
    A balancer's directive in C{upstream{}}.
    """

    def __init__(
        self,
        node: Node,
        group: str,
        compile: Callable[[Template | str, Node], Callable[[Any], bytes]],
        surroundings: Surroundings,
        zones: Zones,
        beside: frozenset[str],
        place: str = "http",
    ) -> None:
        """
        @param group: the group's name.
        """
        self.arguments = node.words
        self.beside = beside
        self.place = place
        self.clock = surroundings.clock
        self.wallClock = surroundings.wallClock
        self._node = node
        self._group = group
        self._compile = compile
        self._zones = zones

    def compile(self, text: str) -> Callable[[IClient], bytes]:
        """
        Compile a text with C{$variables}.
        """
        return self._compile(text, self._node)

    def variable(self, name: str) -> Callable[[IClient], bytes]:
        """
        Compile one variable.
        """
        return self._compile(Template(f"${name}", (Variable(name),)), self._node)

    def keep(self, name: str, size: int, kept: IKept) -> None:
        """
        Hand C{kept} from one configuration to the next.
        """
        use = f"{self.place} {self._node.name}"
        self._zones.keep(name, size, use, kept, self._node, group=self._group)

    def error(self, message: str) -> ConfigError:
        """
        An error at this line.
        """
        return self._node.error(message)


def balancerOptions() -> type[Any]:
    """
    An options class with a field for each balancer that is installed.
    """
    fields = []
    found = plugins.find(IBalancer)
    for name in found:
        where = Where.UPSTREAM
        if found.hint(name, "stream", False):
            where |= Where.STREAM_UPSTREAM
        fields.append(
            (
                name,
                tuple[str, ...],
                directive(
                    name,
                    where,
                    words,
                    arity=(0, None),
                    default=(),
                    doc="A method of choosing a server.",
                ),
            )
        )
    return make_dataclass("BalancerOptions", fields, frozen=True, kw_only=True)


class Balancing:
    """
    The method of a block with the layers around it.

    @ivar init: begins requests.
    @ivar mayBackUp: can the group have backup servers?
    """

    def __init__(
        self,
        block: Block,
        balancers: Mapping[str, IBalancer],
        lineOf: Callable[[Node, frozenset[str]], IBalancerLine],
    ) -> None:
        """
        @param balancers: all that are installed, by their directives.
        @param lineOf: takes a balancer's line, and the names of all those in the block.
        @raise ConfigError: a line is wrong, or stands beside one that it must not.
        """
        lines = block.node.block or ()
        chosen: list[tuple[int, Node, IBalancer]] = []
        # Methods and where they stand: each decides on the lines up to the next one.
        methods: list[tuple[int, IBalancer]] = []
        for index, node in enumerate(lines):
            if node.name in balancers:
                try:
                    plugin = balancers[node.name]
                except plugins.PluginError as e:
                    raise node.error(str(e)) from None
                if plugin.layer and any(plugin is other for _, _, other in chosen):
                    raise node.error(f'"{node.name}" directive is duplicate')
                if plugin.layer == 0:
                    # nginx would forget what stands before, a "sticky" included.
                    if chosen:
                        node.warning("load balancing method redefined")
                if plugin.layer == 0 or not plugin.backup:
                    methods.append((index, plugin))
                chosen.append((plugin.layer, node, plugin))
        beside = frozenset(node.name for _, node, _ in chosen)
        init: IPeerInit = RoundRobin()
        # Of several methods the last one stays; the others are made to be checked.
        for layer, node, plugin in sorted(chosen, key=lambda each: each[0]):
            inner = None if layer == 0 else init
            init = plugin.peerInit(lineOf(node, beside), inner)
        self.init = init
        self.mayBackUp = all(plugin.backup for _, plugin in methods[-1:])
        self._methods = methods
        self._places = {id(line): index for index, line in enumerate(lines)}

    def refused(self, line: Node | None) -> Collection[str]:
        """
        Which parameters a C{server} line must not have: lines after a method obey that
        method.

        @param line: C{None}: it comes after everything else.
        """
        end = len(self._places) if line is None else self._places[id(line)]
        before = [plugin for index, plugin in self._methods if index < end]
        if not before:
            return ()
        # The method's own; a layer after it may refuse backups besides.
        method = next((each for each in reversed(before) if each.layer == 0), None)
        names: frozenset[str] = getattr(method, "refuses", frozenset())
        return names if before[-1].backup else names | {"backup"}
