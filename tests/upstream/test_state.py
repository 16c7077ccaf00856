"""
Tests for L{twisted_upstream.upstream.state}.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import ConversationCase, answer, get, proxy
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError, Node
from twisted_upstream.config.syntax import parse
from twisted_upstream.upstream.server_line import ServerLine, parseServer
from twisted_upstream.upstream.state import readState, stateText, writeState

HERE = Node("state", ("file",), path="nginx.conf", line=3)
FULL = (
    "server 10.0.0.1:81 weight=3 max_conns=4 max_fails=0 fail_timeout=90s"
    " route=r1 id=b backup down drain;"
)


def values(line: ServerLine) -> dict[str, object]:
    """
    What a line says, wherever it stands.
    """
    return {
        each.name: getattr(line, each.name)
        for each in fields(ServerLine)
        if each.name != "node"
    }


_word = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=32,
)
_lines = st.builds(
    ServerLine,
    node=st.just(HERE),
    address=_word,
    weight=st.integers(1, 10**6),
    maxConns=st.integers(0, 10**6),
    maxFails=st.integers(0, 10**6),
    failTimeout=st.integers(0, 10**6),
    backup=st.booleans(),
    down=st.sampled_from((0, 1, 8, 9)),
    route=st.just("") | _word,
    label=st.just("") | _word,
)


class FileTests(SynchronousTestCase):
    """
    Reading and writing.
    """

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "u.state")

    def write(self, text: str) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self) -> str:
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def test_missing(self) -> None:
        """
        No file is an empty group.
        """
        self.assertEqual(readState(self.path, HERE), ())

    def test_read(self) -> None:
        """
        Lines are those of a configuration.
        """
        self.write(f"# comment\n{FULL}\nserver 'unix:/a b';\n")
        first, second = readState(self.path, HERE)
        self.assertEqual(
            (first.address, first.weight, first.down), ("10.0.0.1:81", 3, 9)
        )
        self.assertEqual(second.address, "unix:/a b")

    def test_wrong(self) -> None:
        """
        What is wrong is told with file and line of the state file, all at once.
        """
        self.write("server a nope;\nlisten 80;\nserver;\nserver b { }\nserver c;\n")
        error = self.assertRaises(ConfigError, readState, self.path, HERE)
        self.assertEqual(
            [(each.path, each.line, each.message) for each in error.problems],
            [
                (self.path, 1, 'invalid parameter "nope"'),
                (self.path, 2, '"listen" directive is not allowed here'),
                (
                    self.path,
                    3,
                    'invalid number of arguments in "server" directive',
                ),
                (self.path, 4, 'directive "server" is not terminated by ";"'),
            ],
        )

    def test_torn(self) -> None:
        """
        A file that ends in the middle is refused.
        """
        self.write("server a;\nserver b")
        error = self.assertRaises(ConfigError, readState, self.path, HERE)
        self.assertEqual(
            (error.problems[0].path, error.problems[0].line), (self.path, 2)
        )

    def test_unreadable(self) -> None:
        """
        A file that cannot be read is told of where the configuration names it.
        """
        error = self.assertRaises(ConfigError, readState, self.folder, HERE)
        [problem] = error.problems
        self.assertEqual((problem.path, problem.line), ("nginx.conf", 3))
        self.assertIn("(21: Is a directory)", problem.message)
        self.assertRaises(ConfigError, readState, "a\0b", HERE)

    def test_roundTrip(self) -> None:
        """
        What is written says what was read, and nothing that goes without saying.
        """
        self.write(f"{FULL}\nserver 10.0.0.2;\n")
        lines = readState(self.path, HERE)
        writeState(self.path, lines)
        self.assertEqual(self.read(), f"{FULL}\nserver 10.0.0.2;\n")
        writeState(self.path, [replace(lines[0], down=0, weight=1)])
        again = readState(self.path, HERE)
        self.assertEqual([(each.down, each.weight) for each in again], [(0, 1)])

    # On a busy machine the first ones take their time.
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(_lines, max_size=3))
    def test_anything(self, lines: list[ServerLine]) -> None:
        """
        Whatever addresses and routes are, they are read as they were.
        """
        nodes = parse(stateText(lines), "state").nodes
        found = [values(parseServer(node)) for node in nodes]
        self.assertEqual(found, [values(line) for line in lines])

    def test_atomic(self) -> None:
        """
        A file that cannot be written leaves the old one, and nothing else.
        """
        self.write("server a;\n")

        def broken() -> object:
            yield parseServer(Node("server", ("b",)))
            raise RuntimeError

        self.assertRaises(RuntimeError, writeState, self.path, broken())
        missing = os.path.join(self.folder, "none", "u.state")
        self.assertRaises(OSError, writeState, missing, [])
        self.assertEqual(self.read(), "server a;\n")
        self.assertEqual(os.listdir(self.folder), ["u.state"])

    def test_kept(self) -> None:
        """
        Permissions stay, and a link to the file stays a link.
        """
        self.write("")
        os.chmod(self.path, 0o640)
        link = os.path.join(self.folder, "link")
        os.symlink("u.state", link)
        writeState(link, [parseServer(Node("server", ("a",)))])
        self.assertTrue(os.path.islink(link))
        self.assertEqual(self.read(), "server a;\n")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o640)
        new = os.path.join(self.folder, "new")
        writeState(new, [])
        self.assertEqual(os.stat(new).st_mode & 0o777, 0o644)


class DirectiveTests(ConversationCase):
    """
    C{state} in C{upstream{}}.
    """

    def group(self, text: str | None, lines: str = "zone z 64k; state u.state;") -> str:
        """
        A configuration whose group has a state file; C{None}: that does not exist.
        """
        self.prefix = os.path.abspath(self.mktemp())
        os.mkdir(self.prefix)
        if text is not None:
            with open(os.path.join(self.prefix, "u.state"), "w") as file:
                file.write(text)
        lines = lines.replace("u.state", os.path.join(self.prefix, "u.state"))
        return proxy(http=f"upstream u {{ {lines} }}")

    def refuses(self, text: str) -> list[str]:
        """
        What C{text} is refused with, with file and line.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        return [str(problem) for problem in error.problems]

    def test_servers(self) -> None:
        """
        Requests go to the servers in the file.
        """
        talk = self.talk(self.group("server 10.0.0.7:81;\nserver 10.0.0.8 down;"))
        client = talk.client()
        client.sends(get())
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.7:81")
        server.sends(answer(b"x"))
        client.hears(200, b"x")

    def test_empty(self) -> None:
        """
        Requests to an empty group get 502; so they do where only backups are gone.
        """
        for text in (None, "", "server 10.0.0.1 backup down;"):
            talk = self.talk(self.group(text))
            client = talk.client()
            client.sends(get())
            client.hears(502)
            talk.isLogged("no live upstreams")

    def test_relative(self) -> None:
        """
        A relative path is under the prefix.
        """
        prefix = os.path.abspath(self.mktemp())
        os.mkdir(prefix)
        with open(os.path.join(prefix, "u.state"), "w") as file:
            file.write("server 10.0.0.9;")
        text = proxy(http="upstream u { zone z 64k; state u.state; }")
        [group] = MemoryHTTP(text, prefix).groups
        self.assertEqual([peer.name for peer in group.peers.peers], ["10.0.0.9:80"])

    def test_refused(self) -> None:
        """
        Beside C{server}, without C{zone}, or twice, it makes no sense.
        """
        zone = "zone z 64k;"
        for lines, message in (
            (
                f"{zone} state u.state; server 10.0.0.1;",
                '"server" directive cannot be used together with "state"',
            ),
            ("state u.state;", 'requires upstream "u" to be in shared memory'),
            (f"{zone} state u.state; state v;", '"state" directive is duplicate'),
        ):
            found, *_ = self.refuses(self.group("", lines))
            self.assertIn(message, found)

    def test_wrongFile(self) -> None:
        """
        A mistake in the file is told with its name and line.
        """
        text = self.group("server 10.0.0.1;\nserver nowhere.test;\nserver a weight=0;")
        first, *_ = self.refuses(text)
        self.assertIn('invalid parameter "weight=0"', first)
        self.assertIn("u.state:3", first)
        text = self.group("server 10.0.0.1;\nserver nowhere.test;")
        first, *_ = self.refuses(text)
        self.assertIn('host not found in upstream "nowhere.test"', first)
        self.assertIn("u.state:2", first)

    def test_backup(self) -> None:
        """
        What a method allows counts in the file as well, wherever it stands.
        """
        lines = "zone z 64k; hash $uri; state u.state;"
        text = self.group("server 10.0.0.1;\nserver 10.0.0.2 backup;", lines)
        found, *_ = self.refuses(text)
        self.assertIn('does not support parameter "backup"', found)
        self.assertIn("u.state:2", found)
