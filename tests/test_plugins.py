"""
Tests for L{twisted_upstream.plugins}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.interfaces import (
    IBalancer,
    IBalancerLine,
    IClient,
    IDialect,
    IExchange,
    IKept,
    IPeerInit,
)
from twisted_upstream.plugins import (
    Balancer,
    Dialect,
    Exchange,
    HealthCheck,
    Pointer,
    find,
)
from twisted_upstream.wire.head import ResponseHead

ROOT = Path(__file__).parent.parent

#: A module of a third party, as its author writes it.
ACME = """
from zope.interface import implementer

from twisted_upstream.interfaces import IBalancer, IPeerInit
from twisted_upstream.plugins import Balancer, Pointer


@implementer(IPeerInit)
class Last:
    def initUpstream(self, peers):
        self._peers = peers

    def initPeer(self, client):
        return self._peers.getter(lambda usable: usable[-1])


last = Balancer("last", Last)
lost = Pointer(IBalancer, "lost", "acme_nowhere:lost")
early = Pointer(IBalancer, "early", "acme_far:early")
"""

#: What is done with it, in a process of its own.
USE = """
import sys
from random import Random
from twisted_upstream.balance.peers import Peer, Peers
from twisted_upstream.interfaces import IBalancer, IDialect
from twisted_upstream.plugins import PluginError, find

class Line:
    arguments = ()

balancers = find(IBalancer)
print(*sorted(set(balancers) & {"last", "lost", "early", "incomplete", "twice"}))
balancer = balancers["last"].peerInit(Line(), None)
peers = Peers(
    "g", [Peer(n, (n, 80)) for n in "abc"], seconds=lambda: 1.0, random=Random()
)
balancer.initUpstream(peers)
getter = balancer.initPeer(None)
print(getter.getPeer().name, getter.getPeer().name)
for name in ("lost", "incomplete", "twice"):
    try:
        balancers[name]
    except PluginError as e:
        print(" ".join(str(e).split()))
print("acme_far" in sys.modules)
"""


@implementer(IBalancerLine)
class Line:
    """
    A directive as written.
    """

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self.place = "http"
        self.clock = Clock()
        self.wallClock = self.clock.seconds
        self.beside: frozenset[str] = frozenset()

    def compile(self, text: str) -> Callable[[IClient], bytes]:
        return lambda client: text.encode()

    def variable(self, name: str) -> Callable[[IClient], bytes]:
        return lambda client: client.variable(name)

    def keep(self, name: str, size: int, kept: IKept) -> None:
        """
        Nothing is handed on.
        """

    def error(self, message: str) -> ConfigError:
        return Complaint(message)


class Complaint(ConfigError):
    """
    An error of configuration without a file.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0])


@implementer(IClient)
class Client:
    """
    A client without qualities.
    """

    address = b""

    def __init__(self) -> None:
        self.notes: dict[Any, Any] = {}

    def variable(self, name: str) -> bytes:
        return b""


class Wrapping(RoundRobin):
    """
    A balancer that takes two arguments after what it wraps.
    """

    __slots__ = ("made",)

    def __init__(self, inner: IPeerInit, size: str, unit: str = "m") -> None:
        self.made = (inner, int(size), unit)


class BalancerTests(SynchronousTestCase):
    """
    Tests for L{Balancer}.
    """

    def complain(self, balancer: Balancer, line: Line) -> str:
        error = self.assertRaises(ConfigError, balancer.peerInit, line, None)
        return str(error)

    def test_provides(self) -> None:
        """
        It is a plugin.
        """
        balancer = Balancer("turns", RoundRobin)
        verifyObject(IBalancer, balancer)
        verifyObject(IPlugin, balancer)
        self.assertEqual((balancer.layer, balancer.backup), (0, True))

    def test_layerZero(self) -> None:
        """
        A method gets the words of its directive.
        """
        made = Balancer("turns", RoundRobin).peerInit(Line(), None)
        self.assertIsInstance(made, RoundRobin)

    def test_layerAbove(self) -> None:
        """
        A layer gets what it wraps first.
        """
        inner = RoundRobin()
        made = Balancer("wrap", Wrapping, layer=1).peerInit(Line("3"), inner)
        assert isinstance(made, Wrapping)
        self.assertEqual(made.made, (inner, 3, "m"))

    def test_numberOfArguments(self) -> None:
        """
        Too many or too few words are an error with nginx's text.
        """
        for balancer, line in (
            (Balancer("turns", RoundRobin), Line("x")),
            (Balancer("turns", Wrapping, layer=1), Line()),
        ):
            self.assertEqual(
                self.complain(balancer, line),
                'invalid number of arguments in "turns" directive',
            )

    def test_wrongArgument(self) -> None:
        """
        A word that the factory does not like is an error that names the directive.
        """
        balancer = Balancer("wrap", Wrapping, layer=1)
        self.assertIn('in "wrap" directive', self.complain(balancer, Line("many")))

    def test_ownMistakesAreNotHidden(self) -> None:
        """
        A fault inside the factory is not reported as one of the configuration.
        """

        def broken() -> IPeerInit:
            raise TypeError("oops")

        self.assertRaises(TypeError, Balancer("broken", broken).peerInit, Line(), None)

    def test_somethingElse(self) -> None:
        """
        A factory whose product is no balancer is reported with its module.
        """
        noBalancer: Any = Line
        balancer = Balancer("odd", noBalancer)
        self.assertIn(f'balancer "odd" of {__name__}', self.complain(balancer, Line()))


class Echo(Exchange):
    """
    A protocol that sends one byte.
    """

    def createRequest(self) -> bytes:
        return b"?"

    def processHeader(self, data: bytes) -> ResponseHead | None:
        return ResponseHead(200, b"", 0, 5)


class DialectTests(SynchronousTestCase):
    """
    Tests for L{Dialect} and L{Exchange}.
    """

    def test_provides(self) -> None:
        """
        It is a plugin, and its exchanges are exchanges.
        """
        verifyObject(IDialect, Dialect("echo", Echo))
        verifyObject(IPlugin, Dialect("echo", Echo))
        verifyClass(IExchange, Echo)
        verifyObject(IExchange, Echo(None, Client()))

    def test_withoutOptions(self) -> None:
        """
        A dialect without options of its own asks the location for none.
        """
        block: Any = None
        client = Client()
        exchange = Dialect("echo", Echo).exchangeFactory(block, None)(client)
        assert isinstance(exchange, Echo)
        self.assertIs(exchange.client, client)
        self.assertIsNone(exchange.options)

    def test_leavesOut(self) -> None:
        """
        A dialect says which methods and which common options it has; all connections
        are alike.
        """
        block: Any = None
        dialect = Dialect("echo", Echo)
        self.assertEqual((dialect.methods, dialect.passOptions), (None, None))
        self.assertIsNone(dialect.account(block))
        dialect = Dialect("echo", Echo, passOptions=Echo, methods=[b"GET"])
        self.assertEqual(dialect.methods, frozenset([b"GET"]))
        self.assertIs(dialect.passOptions, Echo)

    def test_options(self) -> None:
        """
        The options of the location are read once, under the dialect's name.
        """

        class Options:
            pass

        class Block:
            asked: Sequence[tuple[type, str]] = ()

            def of(self, options: type, prefix: str) -> object:
                self.asked = [*self.asked, (options, prefix)]
                return "of the location"

        block: Any = Block()
        factory = Dialect("echo", Echo, Options).exchangeFactory(block, None)
        exchanges = [factory(Client()), factory(Client())]
        self.assertEqual(block.asked, [(Options, "echo")])
        for exchange in exchanges:
            assert isinstance(exchange, Echo)
            self.assertEqual(exchange.options, "of the location")

    def test_defaults(self) -> None:
        """
        Nothing is rewritten, reused or undone unless the author says so.
        """
        exchange = Echo(None, Client())
        exchange.reinitRequest()
        exchange.abortRequest()
        exchange.finalizeRequest(0)
        self.assertFalse(exchange.reusable)
        self.assertIsNone(exchange.rewriteRedirect)
        self.assertIsNone(exchange.rewriteCookie)
        self.assertIsNone(exchange.endHeader(b"half"))
        self.assertEqual(exchange.authority(b"s:1"), (b"s:1", 0))
        self.assertFalse(exchange.takesBody or exchange.mayStream)

    def test_changedForOne(self) -> None:
        """
        What is set for all requests may be changed for one.
        """

        class Kept(Echo):
            reusable = True

        first, second = Kept(None, Client()), Kept(None, Client())
        first.reusable = False
        self.assertEqual((first.reusable, second.reusable), (False, True))

    def test_bodyOfKnownLength(self) -> None:
        """
        A body is as long as its head says.
        """
        body = Echo(None, Client()).inputFilterInit(ResponseHead(200, b"", 0, 5))
        self.assertEqual(body.remaining, 5)
        self.assertEqual(body.inputFilter(b"hello"), b"hello")
        self.assertEqual(body.remaining, 0)

    def test_bodyOfUnknownLength(self) -> None:
        """
        A body of unknown length ends with the connection.
        """
        body = Echo(None, Client()).inputFilterInit(ResponseHead(200, b"", 0, None))
        self.assertIsNone(body.remaining)
        self.assertEqual(body.inputFilter(b"hello"), b"hello")
        self.assertIsNone(body.remaining)

    def test_authorsPart(self) -> None:
        """
        What only the author knows is missing loudly.
        """
        exchange = Exchange(None, Client())
        self.assertRaises(NotImplementedError, exchange.createRequest)
        self.assertRaises(NotImplementedError, exchange.processHeader, b"")


class HealthCheckTests(SynchronousTestCase):
    """
    Tests for L{HealthCheck}.
    """

    def test_attributes(self) -> None:
        """
        It is a plugin that holds what to send and how to judge.
        """
        check = HealthCheck("ping", b"PING\r\n", lambda received: received == b"+PONG")
        verifyObject(IPlugin, check)
        self.assertEqual((check.name, check.request), ("ping", b"PING\r\n"))
        self.assertTrue(check.judge(b"+PONG"))


pointedAt = Balancer("aimed", RoundRobin, layer=2, backup=False)


class PointerTests(SynchronousTestCase):
    """
    Tests for L{Pointer}.
    """

    def test_nameWithoutImport(self) -> None:
        """
        Its name is known without the module, which need not even exist.
        """
        self.assertEqual(Pointer(IDialect, "far", "no.such:thing").name, "far")
        pointer = Pointer(IBalancer, "far", "no.such:thing")
        self.assertEqual(pointer.directive, "far")
        self.assertTrue(IBalancer.providedBy(pointer))
        self.assertTrue(IPlugin.providedBy(pointer))

    def test_load(self) -> None:
        """
        It finds the object by its path.
        """
        pointer = Pointer(IBalancer, "aimed", f"{__name__}:pointedAt")
        self.assertIs(pointer.load(), pointedAt)

    def test_delegates(self) -> None:
        """
        Whoever uses it directly gets the object's attributes.
        """
        pointer = Pointer(IBalancer, "aimed", f"{__name__}:pointedAt")
        verifyObject(IBalancer, pointer)
        self.assertEqual((pointer.layer, pointer.backup), (2, False))


class FindTests(SynchronousTestCase):
    """
    Tests for L{find}.
    """

    def test_ours(self) -> None:
        """
        Our own plugins are found by name.
        """
        self.assertIn("proxy", find(IDialect))
        self.assertIn("proxy", list(find(IDialect)))
        self.assertEqual(len(find(IDialect)), len(list(find(IDialect))))

    def test_unknown(self) -> None:
        """
        There is no plugin of a name that nobody has.
        """
        self.assertIsNone(find(IBalancer).get("no such balancer"))
        self.assertRaises(KeyError, find(IBalancer).__getitem__, "no such balancer")

    def test_oursAreOfUse(self) -> None:
        """
        Every plugin of ours can be loaded and keeps its promises, once and for all.
        """
        for interface in (IBalancer, IDialect):
            found = find(interface)
            for name in found:
                self.assertIs(found[name], found[name])


class ThirdPartyTests(SynchronousTestCase):
    """
    Tests with plugins in a directory of their own, in a process of its own.
    """

    def useModules(self, **modules: str) -> list[str]:
        """
        Put modules beside C{twisted_upstream} and use them.
        """
        place = Path(self.mktemp()).absolute()
        plugins = place / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        for name, text in modules.items():
            (plugins / f"{name}.py").write_text(dedent(text))
        path = os.pathsep.join((str(place), str(ROOT)))
        done = subprocess.run(
            [sys.executable, "-c", USE],
            env={**os.environ, "PYTHONPATH": path},
            cwd=place,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_found(self) -> None:
        """
        A balancer of fewer than thirty lines is found, chooses, and is accounted for;
        what is wrong with its neighbours is told, with their module, when they are
        used; what nobody uses is not even imported.
        """
        self.assertLess(len(ACME.splitlines()), 30)
        names, chosen, lost, incomplete, twice, imported = self.useModules(
            acme_upstream=ACME,
            acme_bad="""
                from twisted.plugin import IPlugin
                from zope.interface import implementer
                from twisted_upstream.interfaces import IBalancer

                @implementer(IPlugin, IBalancer)
                class Incomplete:
                    directive = "incomplete"

                incomplete = Incomplete()
            """,
            acme_one="""
                from twisted_upstream.interfaces import IBalancer
                from twisted_upstream.plugins import Pointer
                here = Pointer(IBalancer, "twice", "one:here")
            """,
            acme_two="""
                from twisted_upstream.interfaces import IBalancer
                from twisted_upstream.plugins import Pointer
                there = Pointer(IBalancer, "twice", "two:there")
            """,
        )
        self.assertEqual(names, "early incomplete last lost twice")
        self.assertEqual(chosen, "c b")
        self.assertEqual(
            lost,
            'plugin "lost" of twisted.plugins.acme_upstream cannot be used:'
            " No module named 'acme_nowhere'",
        )
        self.assertTrue(
            incomplete.startswith(
                'plugin "incomplete" of twisted.plugins.acme_bad cannot be used:'
            ),
            incomplete,
        )
        self.assertIn("layer", incomplete)
        self.assertTrue(
            twice.startswith('plugin "twice" is defined more than once:'), twice
        )
        self.assertIn("twisted.plugins.acme_one", twice)
        self.assertIn("twisted.plugins.acme_two", twice)
        self.assertEqual(imported, "False")
