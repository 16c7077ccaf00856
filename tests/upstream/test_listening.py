"""
Tests for L{twisted_upstream.upstream.listening}.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import configure, messages, only
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.listen import ServerOptions
from twisted_upstream.maps.names import ServerNames
from twisted_upstream.upstream.listening import ListeningAddress, namesOf


class Names(ServerNames[str]):
    """
    Servers that are their names.
    """

    name = "192.0.2.1:80"
    proxyProtocol = False


class ListeningTests(SynchronousTestCase):
    """
    What lines say of one address.
    """

    def setUp(self) -> None:
        """
        An address that no line has named.
        """
        self.address = Names("first")
        self.found: ListeningAddress[str] = ListeningAddress(
            ("192.0.2.1", 80), self.address, False
        )

    def add(self, server: str, words: str) -> None:
        """
        A server says C{listen} with these words besides the address.
        """
        text = f"server {{ listen 192.0.2.1 {words}; }}"
        root = configure(text, ServerOptions)
        block = only(root, 0)
        (line,) = block.of(ServerOptions).listens
        self.found.add(line, server, block)

    def test_default(self) -> None:
        """
        The server that says so is the default, whichever came first.
        """
        self.add("first", "")
        self.add("second", "default_server")
        self.assertEqual(self.address.default, "second")
        self.assertEqual(list(self.found.servers), ["first", "second"])

    def test_collected(self) -> None:
        """
        What one line says counts for the address: the first C{ssl}, options of the
        socket, the PROXY header.
        """
        self.add("first", "")
        self.assertEqual((self.found.tls, self.found.line), (None, None))
        self.add("second", "ssl proxy_protocol backlog=7")
        self.add("third", "ssl")
        self.assertIs(self.found.tls, self.found.line)
        self.assertIsNot(self.found.line, None)
        self.assertTrue(self.address.proxyProtocol)

    def test_refused(self) -> None:
        """
        One default, one line with options, each server once.
        """
        self.add("first", "default_server backlog=7")
        for server, words, expected in (
            ("first", "", "a duplicate listen 192.0.2.1:80"),
            ("second", "backlog=8", "duplicate listen options for 192.0.2.1:80"),
            ("third", "default", "a duplicate default server for 192.0.2.1:80"),
        ):
            error = self.assertRaises(ConfigError, self.add, server, words)
            self.assertEqual(messages(error), [expected])


class NamesTests(SynchronousTestCase):
    """
    C{server_name}.
    """

    def test_names(self) -> None:
        """
        Every name comes with its line; C{$hostname}, in any case, is the machine's.
        """
        text = "server { server_name a b; server_name $HostName; }"
        root = configure(text, ServerOptions)
        block = only(root, 0)
        first, second = block.nodes("server_name")
        self.assertEqual(
            namesOf(block),
            [("a", first), ("b", first), (socket.gethostname().lower(), second)],
        )
