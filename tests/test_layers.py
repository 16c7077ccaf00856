"""
Who may import whom: a room imports only rooms to its left.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = "twisted_upstream"

#: Rooms and single modules, from those that know nothing to those that know all.
ORDER = (
    "interfaces config wire variables balance plugins net logs maps limits"
    " tls upstream http dialects stream process embed testing __main__"
).split()

#: Bytes in, values out: no clock, no socket, no reactor.
PURE = (
    "config",
    "wire",
    "balance",
    "dialects",
    "upstream.retry",
    "upstream.keepalive",
)
IMPURE = ("twisted.internet", "socket", "select", "time")
#: Arithmetic, and a value that comes later, whatever module they stand in.
HARMLESS = ("time.gmtime", "twisted.internet.defer.Deferred")

#: Rooms that never meet, in either direction.
STRANGERS = (("stream", "http"), ("stream", "dialects"))

#: The one module that may import the reactor, inside a function.
REACTOR_PLACE = "twisted_upstream.process.cli"


@dataclass(frozen=True)
class Import:
    """
    One imported name.

    @ivar importer: the module it stands in.
    @ivar name: what is imported, absolute: a module, or a module and a name in it.
    @ivar line: where.
    @ivar runs: not under C{if TYPE_CHECKING:}.
    @ivar inFunction: stands in a function.
    """

    importer: str
    name: str
    line: int
    runs: bool
    inFunction: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.name}"


def within(name: str, module: str) -> bool:
    """
    Is C{name} C{module}, or something in it?
    """
    return name == module or name.startswith(module + ".")


def importsOf(source: str, module: str, *, isPackage: bool = False) -> list[Import]:
    """
    Every import in C{source}.

    @param module: its dotted name, to resolve relative imports.
    """
    base = module.split(".") if isPackage else module.split(".")[:-1]

    def walk(node: ast.AST, runs: bool, inFunction: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, runs, inFunction)
        elif isinstance(node, ast.ImportFrom):
            prefix = base[: len(base) - node.level + 1] if node.level else []
            start = ".".join([*prefix, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(
                    module, f"{start}.{alias.name}", node.lineno, runs, inFunction
                )
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith(
            "TYPE_CHECKING"
        ):
            for statement in node.body:
                yield from walk(statement, False, inFunction)
            for statement in node.orelse:
                yield from walk(statement, runs, inFunction)
        else:
            isFunction = isinstance(
                node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            )
            for child in ast.iter_child_nodes(node):
                yield from walk(child, runs, inFunction or isFunction)

    return list(walk(ast.parse(source), True, False))


def packageImports() -> list[Import]:
    """
    Every import of the package.
    """
    found: list[Import] = []
    for path in sorted((CHECKOUT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        isPackage = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if isPackage else parts)
        found.extend(importsOf(path.read_text("utf-8"), module, isPackage=isPackage))
    return found


def room(name: str) -> str:
    """
    The room of a dotted name of the package; empty for the package itself.
    """
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def toTheRight(found: list[Import]) -> list[str]:
    """
    Imports that run and point to a room further right.
    """
    return [
        str(entry)
        for entry in found
        if entry.runs
        and within(entry.name, PACKAGE)
        # The package itself holds nothing but its docstring and version.
        and room(entry.name) in ORDER
        and room(entry.importer) in ORDER
        and ORDER.index(room(entry.name)) > ORDER.index(room(entry.importer))
    ]


def meetings(found: list[Import]) -> list[str]:
    """
    Imports between strangers, even for types.
    """
    return [
        str(entry)
        for entry in found
        if within(entry.name, PACKAGE)
        for pair in STRANGERS
        if {room(entry.importer), room(entry.name)} == set(pair)
    ]


def impurities(found: list[Import]) -> list[str]:
    """
    Clocks, sockets and reactors where there must be none.
    """
    return [
        str(entry)
        for entry in found
        if entry.runs
        and any(within(entry.importer, f"{PACKAGE}.{module}") for module in PURE)
        and any(within(entry.name, module) for module in IMPURE)
        and entry.name not in HARMLESS
    ]


def reactorImports(found: list[Import]) -> list[str]:
    """
    Imports of the global reactor outside of its one place.
    """
    return [
        str(entry)
        for entry in found
        if within(entry.name, "twisted.internet.reactor")
        and not (entry.importer == REACTOR_PLACE and entry.inFunction)
    ]


class LayerTests(SynchronousTestCase):
    """
    The package keeps to its rules.
    """

    def setUp(self) -> None:
        self.imports = packageImports()

    def test_everyRoomHasAPlace(self) -> None:
        """
        Every module at the top of the package is named in the order of rooms.
        """
        rooms = {
            path.stem
            for path in (CHECKOUT / PACKAGE).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        self.assertEqual(rooms - {"__init__", *ORDER}, set())

    def test_onlyToTheLeft(self) -> None:
        """
        No import that runs points to a room further right.
        """
        self.assertEqual(toTheRight(self.imports), [])

    def test_strangersNeverMeet(self) -> None:
        """
        stream knows nothing of http and its dialects, nor they of stream.
        """
        self.assertEqual(meetings(self.imports), [])

    def test_pureRooms(self) -> None:
        """
        Configuration, codecs, balancers and dialects know no clock and no socket.
        """
        self.assertEqual(impurities(self.imports), [])

    def test_oneReactor(self) -> None:
        """
        The reactor is imported in a function of the command line, nowhere else.
        """
        self.assertEqual(reactorImports(self.imports), [])

    def test_dropinsImportLittle(self) -> None:
        """
        Plugin modules import Twisted, less the reactor, and this package only.
        """
        found: list[str] = []
        for path in sorted((CHECKOUT / "twisted" / "plugins").glob("*.py")):
            for entry in importsOf(path.read_text("utf-8"), path.stem):
                if entry.name.split(".")[0] not in ("__future__", "twisted", PACKAGE):
                    found.append(str(entry))
                if within(entry.name, "twisted.internet"):
                    found.append(str(entry))
        self.assertEqual(found, [])


class CheckerTests(SynchronousTestCase):
    """
    The rules above find what breaks them.
    """

    def found(self, source: str, module: str) -> list[Import]:
        """
        The imports of a sample that stands in a module of the package.
        """
        return importsOf(source, f"{PACKAGE}.{module}")

    def test_relativeToTheRight(self) -> None:
        """
        A relative import of a room further right is found, in functions too.
        """
        source = "def f():\n    from ..http.server import x\n"
        self.assertEqual(
            toTheRight(self.found(source, "upstream.request")),
            [
                "twisted_upstream.upstream.request:2 imports"
                " twisted_upstream.http.server.x"
            ],
        )

    def test_roomItself(self) -> None:
        """
        C{from .. import room} counts as an import of the room.
        """
        source = "from .. import embed"
        self.assertEqual(len(toTheRight(self.found(source, "net.tls"))), 1)

    def test_ownRoomAndLeft(self) -> None:
        """
        The room itself and rooms to the left are free.
        """
        source = "from .peers import Peer\nfrom ..config.build import Block\n"
        self.assertEqual(toTheRight(self.found(source, "balance.load")), [])

    def test_typesMayPointRight(self) -> None:
        """
        Imports for types only may point right, but not between strangers.
        """
        source = (
            "if TYPE_CHECKING:\n"
            "    from ..stream.proxy import X\n"
            "else:\n"
            "    import socket\n"
        )
        found = self.found(source, "http.server")
        self.assertEqual(toTheRight(found), [])
        self.assertEqual(len(meetings(found)), 1)
        self.assertEqual([entry.runs for entry in found], [False, True])

    def test_impure(self) -> None:
        """
        A pure room's import of a clock is found; a name that only looks like it, not.
        """
        source = "import time\nfrom timeit import x\nfrom twisted.internet import task"
        self.assertEqual(len(impurities(self.found(source, "wire.http1"))), 2)

    def test_reactor(self) -> None:
        """
        The reactor is found at module level of its place and anywhere else.
        """
        atTop = "from twisted.internet import reactor"
        inside = f"def main():\n    {atTop}\n"
        self.assertEqual(len(reactorImports(self.found(atTop, "process.cli"))), 1)
        self.assertEqual(len(reactorImports(self.found(inside, "process.cli"))), 0)
        self.assertEqual(len(reactorImports(self.found(inside, "net.tls"))), 1)
