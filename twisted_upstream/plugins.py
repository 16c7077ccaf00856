"""
The plugin author's kit, and how plugins are found.

A third party puts a module into C{twisted/plugins/} with one object for each balancer,
dialect or health check; nothing else registers it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
)
from twisted.plugin import IPlugin, getPlugins
from zope.interface import Interface, alsoProvides, implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from .interfaces import IBalancer, IDialect, IExchange, IPeerInit
from .wire.body import InvalidBody, Length, Trailed, UntilClose
from .wire.head import ResponseHead
from .wire.response1 import InvalidHead, parseResponse

if TYPE_CHECKING:
    from .config.build import Block
    from .interfaces import IBalancerLine, IClient, IInputFilter

#: Everything that a plugin's author needs, the values of C{wire} included.
__all__ = [
    "Balancer",
    "Dialect",
    "Exchange",
    "HealthCheck",
    "InvalidBody",
    "InvalidHead",
    "Length",
    "PluginError",
    "Pointer",
    "ResponseHead",
    "Trailed",
    "UntilClose",
    "find",
    "parseResponse",
]

_Kind = TypeVar("_Kind", bound=Interface)


class PluginError(Exception):
    """
    A plugin that the configuration uses is of no use.  The message names it, its
    module, and what is wrong.
    """


@implementer(IPlugin, IBalancer)
class Balancer:
    """
    A balancer whose arguments are plain words.

    Who needs C{$variables} in them overrides L{peerInit}.
    """

    def __init__(
        self,
        directive: str,
        factory: Callable[..., IPeerInit],
        layer: int = 0,
        backup: bool = True,
        stream: bool = True,
    ) -> None:
        """
        @param directive: its name in C{upstream{}}.
        @param factory: called once per group with the directive's arguments as C{str};
            what is wrapped comes before them if C{layer} is not 0.  It raises
            C{ValueError} when an argument is wrong.
        @param stream: may it stand in C{stream}, too?
        """
        self.directive = directive
        self.factory = factory
        self.layer = layer
        self.backup = backup
        self.stream = stream

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: the arguments are wrong, or the factory made something else.
        """
        arguments = (inner, *line.arguments) if self.layer else tuple(line.arguments)
        try:
            signature(self.factory).bind(*arguments)
        except TypeError:
            raise line.error(
                f'invalid number of arguments in "{self.directive}" directive'
            ) from None
        try:
            made = self.factory(*arguments)
            verifyObject(IPeerInit, made)
        except ValueError as e:
            raise line.error(f'{e} in "{self.directive}" directive') from None
        except Invalid as e:
            raise line.error(
                f'balancer "{self.directive}" of {self.factory.__module__}'
                f" cannot be used: {e}"
            ) from None
        return made


@implementer(IPlugin, IDialect)
class Dialect:
    """
    A dialect that needs no preparation for a location but its options.
    """

    def __init__(
        self,
        name: str,
        exchangeClass: Callable[[Any, IClient], IExchange],
        options: type | None = None,
        *,
        passOptions: type | None = None,
        methods: Iterable[bytes] | None = None,
    ) -> None:
        """
        @param name: C{redis} gives C{redis_pass}, C{redis_read_timeout} and so on.
        @param exchangeClass: a subclass of L{Exchange}.
        @param options: class of further options.
        @param passOptions: class of those options common to all dialects that this
            one has, if it has not all of them.
        @param methods: those that it has a meaning for, if not all.
        """
        self.name = name
        self.exchangeClass = exchangeClass
        self.options = options
        self.passOptions = passOptions
        self.methods = None if methods is None else frozenset(methods)

    def authority(self, text: bytes) -> tuple[bytes, int]:
        """
        C{*_pass} is the address itself.
        """
        return text, 0

    def mayBeSecure(self, text: str) -> bool | None:
        """
        Does a C{*_pass} ask for TLS?  C{None}: variables will tell.  Only a dialect
        with the options for it may say anything but C{False}.
        """
        return False

    def exchangeFactory(
        self, block: Block, build: Any
    ) -> Callable[[IClient], IExchange]:
        """
        Bind the options of one location.
        """
        options = None if self.options is None else block.of(self.options, self.name)
        return partial(self.exchangeClass, options)

    def account(self, block: Block) -> Hashable:
        """
        Nobody: all idle connections to one address are alike.
        """
        return None


@implementer(IPlugin)
class HealthCheck:
    """
    A health check: what to send, and what to think of the answer.
    """

    def __init__(
        self, name: str, request: bytes, judge: Callable[[bytes], bool | None]
    ) -> None:
        """
        @param name: the word after C{type=}.
        @param request: sent to the server; empty: connecting is proof enough.
        @param judge: takes all bytes received so far; is the server healthy?
            C{None}: more bytes are needed.
        """
        self.name = name
        self.request = request
        self.judge = judge


@implementer(IExchange)
class Exchange:
    """
    One client request in one protocol: everything but the protocol.

    The attributes are those of a request without a body whose response ends the
    connection; a subclass sets others, for all requests or for one.

    @ivar options: the location's options of L{Dialect.options}, or C{None}.
    @ivar client: who asks.
    @ivar secure: does this request want TLS?
    @ivar secureName: the name that a server's certificate has to have then, perhaps
        with a port.
    @cvar reusable: set it where the protocol tells the end of a response without
        closing the connection.
    """

    reusable: bool = False
    rewriteRedirect: Callable[[bytes], bytes | None] | None = None
    rewriteCookie: Callable[[bytes], bytes | None] | None = None
    takesBody: bool = False
    mayStream: bool = False
    bodyFilter: Callable[[bytes, bool], bytes] | None = None
    scheme: bytes = b""
    secure: bool = False
    secureName: bytes = b""
    uri: bytes = b""
    headOffset: int = 0
    excessMessage: str = "upstream sent more data than its response"
    excessLevel: str = "warn"

    def __init__(self, options: Any, client: IClient) -> None:
        self.options = options
        self.client = client

    def authority(self, text: bytes) -> tuple[bytes, int] | None:
        """
        C{*_pass} is the address itself, with variables, too.
        """
        return text, 0

    def createRequest(self) -> bytes | None:
        """
        The bytes to send; C{None}: none can be made.  Every dialect has its own.
        """
        raise NotImplementedError(f"{type(self).__name__}.createRequest")

    def reinitRequest(self) -> None:
        """
        Forget what was parsed: nothing.
        """

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse a response's head.  Every dialect has its own.
        """
        raise NotImplementedError(f"{type(self).__name__}.processHeader")

    def endHeader(self, data: bytes) -> ResponseHead | None:
        """
        A head that the connection's end cuts off is none.
        """
        return None

    def inputFilterInit(self, head: ResponseHead) -> IInputFilter:
        """
        A body of C{head.contentLength} bytes; if that is unknown, until the connection
        ends; none where the head says that there is none.
        """
        if head.noBody:
            return Length(0)
        if head.contentLength is None:
            return UntilClose()
        return Length(head.contentLength)

    def abortRequest(self) -> None:
        """
        The client went away: there is nothing to undo.
        """

    def finalizeRequest(self, status: int) -> None:
        """
        It is over: there is nothing to undo.
        """


@implementer(IPlugin)
class Pointer:
    """
    A plugin that is imported when it is used.

    Everything but its name is asked of the object that it points to.
    """

    def __init__(self, interface: Any, name: str, path: str, **known: object) -> None:
        """
        @param interface: what the object provides: L{IBalancer}, L{IDialect}.
        @param name: its C{directive} or C{name}.
        @param path: C{package.module:attribute}.
        @param known: attributes of the object that are needed before it is used.
        """
        self.path = path
        vars(self).update(known)
        setattr(self, _nameOf(interface), name)
        alsoProvides(self, interface)

    def load(self) -> Any:
        """
        The object itself.

        @raise ImportError: there is no such module.
        @raise AttributeError: the module has no such object.
        """
        moduleName, _, attribute = self.path.partition(":")
        return getattr(import_module(moduleName), attribute)

    def __getattr__(self, name: str) -> Any:
        # zope.interface and pickle look for special names on everything they meet.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.load(), name)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class EndpointParser:
    """
    What C{clientFromString} finds for strings that begin with C{prefix:}; the function
    that it calls is imported then.
    """

    def __init__(self, prefix: str, path: str) -> None:
        """
        @param path: C{package.module:function}, which takes a reactor and the string's
            parts, and returns an endpoint.
        """
        self.prefix = prefix
        self.path = path

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> Any:
        """
        The endpoint of one string.
        """
        moduleName, _, attribute = self.path.partition(":")
        return getattr(import_module(moduleName), attribute)(reactor, *args, **kwargs)


#: Our own plugins are imported, not looked up: Twisted's cache of plugins may be older
#: than they are.
_OWN = (
    "twisted.plugins.twisted_upstream_balancers",
    "twisted.plugins.twisted_upstream_dialects",
)


def find(interface: type[_Kind]) -> Found[_Kind]:
    """
    All plugins of one kind, ours and others', by C{directive} or C{name}.  Where names
    are equal, ours win.

    Looking a name up loads the plugin and checks it, once; iterating does not.

    @return: a mapping; its lookup raises L{PluginError}.
    """
    found: dict[str, list[Any]] = {}
    key = _nameOf(interface)
    for moduleName in _OWN:
        for plugin in vars(import_module(moduleName)).values():
            # The module has the interface itself, too, and classes of plugins.
            if IPlugin.providedBy(plugin) and interface.providedBy(plugin):
                found[getattr(plugin, key)] = [plugin]
    own = set(found)
    for plugin in getPlugins(interface):
        name = getattr(plugin, key, None)
        if name is not None and name not in own:
            found.setdefault(name, []).append(plugin)
    return Found(interface, found)


class Found(Mapping[str, _Kind]):
    """
    Plugins by name, loaded and checked when they are looked up.
    """

    def __init__(self, interface: type[_Kind], found: dict[str, list[Any]]) -> None:
        self._interface = interface
        self._found = found
        self._loaded: dict[str, _Kind] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> _Kind:
        loaded = self._loaded.get(name)
        if loaded is None:
            loaded = self._loaded[name] = self._load(name)
        return loaded

    def hint(self, name: str, attribute: str, default: Any) -> Any:
        """
        An attribute of a plugin as far as it is known without loading it.
        """
        plugin = self._found[name][0]
        if isinstance(plugin, Pointer):
            return vars(plugin).get(attribute, default)
        return getattr(plugin, attribute, default)

    def _load(self, name: str) -> _Kind:
        plugins = self._found[name]
        modules = " and ".join(_moduleOf(plugin) for plugin in plugins)
        if len(plugins) > 1:
            raise PluginError(f'plugin "{name}" is defined more than once: {modules}')
        plugin: Any = plugins[0]
        try:
            if isinstance(plugin, Pointer):
                plugin = plugin.load()
            verifyObject(self._interface, plugin)
        # Whatever a stranger's module raises while it is imported.
        except Exception as e:
            raise PluginError(
                f'plugin "{name}" of {modules} cannot be used: {e}'
            ) from e
        loaded: _Kind = plugin
        return loaded


def _nameOf(interface: Any) -> str:
    """
    The attribute that a plugin of this kind is found by.
    """
    return "directive" if "directive" in interface else "name"


def _moduleOf(plugin: Any) -> str:
    """
    Where C{plugin} comes from, for error messages.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("twisted.plugins."):
            if any(value is plugin for value in vars(module).values()):
                return name
    return type(plugin).__module__
