"""
Tests for L{twisted_upstream.stream.udp}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.datagrams import UDPCase
from twisted_upstream.config.syntax import ConfigError, parse
from twisted_upstream.process.grammar import makeGrammar

LISTEN = "listen 192.0.2.254:53 udp;"


class ContentTests(UDPCase):
    """
    What else than passing on may happen to a session.
    """

    def test_return(self) -> None:
        """
        A text is one datagram; an empty one none.
        """
        udp = self.udpBlock(
            "map $protocol:$remote_port $text { UDP:1 ''; default $remote_port; }"
            f"server {{ {LISTEN} return $text; }}"
        )
        udp.sends(b"x", client=("192.0.2.9", 4711))
        udp.sends(b"y", client=("192.0.2.9", 1))
        self.assertEqual(udp.sockets[0].outgoing, [(b"4711", ("192.0.2.9", 4711))])
        self.assertEqual(self.accessLog(), ["200 1 4 -", "200 1 0 -"])

    def test_returnFails(self) -> None:
        """
        A text that cannot be sent is 500.
        """
        udp = self.udpBlock(f"server {{ {LISTEN} return x; }}")
        udp.sockets[0].room = 0
        udp.sends(b"x")
        udp.sockets[0].room = None
        self.assertEqual(self.accessLog(), ["500 1 0 -"])
        self.assertTrue(
            udp.log.has("shared connection is busy while returning text, udp client")
        )

    def test_pass(self) -> None:
        """
        There is no connection to pass.
        """
        udp = self.udpBlock(f"server {{ {LISTEN} pass 127.0.0.1:1; }}")
        udp.sends(b"x")
        self.assertTrue(udp.log.has("cannot pass udp connection"))
        self.assertEqual(self.accessLog(), ["500 1 0 -"])

    def test_balancerRaises(self) -> None:
        """
        A balancer that raises ends the session; the client's next datagram begins
        another one.
        """

        def broken(client: object) -> Any:
            raise ZeroDivisionError

        udp = self.udp()
        for group in udp.build.groups:
            group.initPeer = broken
        for _ in range(2):
            udp.sends(b"x")
            self.assertEqual(udp.udpSessions, [])
        self.assertEqual(len(self.accessLog()), 2)
        self.assertEqual(self.accessLog()[0][:8], "500 1 0 ")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_nothing(self) -> None:
        """
        A server without a content is 500.
        """
        udp = self.udpBlock(f"server {{ {LISTEN} }}")
        udp.sends(b"x")
        self.assertEqual(self.accessLog(), ["500 1 0 -"])

    def test_denied(self) -> None:
        """
        Who may not come in gets nothing; each datagram is asked anew.
        """
        udp = self.udp("deny 192.0.2.1;")
        udp.sends(b"x", b"y")
        self.assertEqual(self.accessLog(), ["403 1 0 -"] * 2)
        self.assertTrue(
            udp.log.has("access forbidden by rule while initializing session, udp")
        )
        udp.sends(b"z", client=("192.0.2.9", 1))
        self.assertEqual(udp.dialer.made[0].heard, [b"z"])

    def test_limited(self) -> None:
        """
        limit_conn counts sessions: a known client's datagrams are no new ones.
        """
        udp = self.udp(
            "limit_conn z 1; proxy_responses 2;",
            "limit_conn_zone $binary_remote_addr zone=z:1m;",
        )
        udp.sends(b"a", b"b")
        udp.sends(b"c", client=("192.0.2.1", 1))
        self.assertEqual(udp.dialer.made[0].heard, [b"a", b"b"])
        self.assertEqual(self.accessLog(), ["503 1 0 -"])
        udp.answers(0, b"1", b"2", b"3", b"4")
        udp.sends(b"d", client=("192.0.2.1", 1))
        self.assertEqual(udp.dialer.made[1].heard, [b"d"])

    def test_variables(self) -> None:
        """
        What is known of a session.
        """
        udp = self.udpBlock(
            "log_format all '$protocol $remote_addr:$remote_port"
            " $server_addr:$server_port $bytes_received/$bytes_sent';"
            f"server {{ {LISTEN} return hello; access_log access.log all; }}"
        )
        udp.sends(b"xy")
        self.assertEqual(self.accessLog(), ["UDP 192.0.2.1:50000 192.0.2.254:53 2/5"])

    def test_logLine(self) -> None:
        """
        The beginning of a session is logged.
        """
        udp = self.udp()
        udp.sends(b"x")
        self.assertTrue(
            udp.log.has("*1 udp client 192.0.2.1:50000 connected to 192.0.2.254:53")
        )
        self.assertTrue(
            udp.log.has("*1 udp proxy 192.0.2.254:60000 connected to 10.0.0.1:53")
        )


class DispatchTests(UDPCase):
    """
    Which session a datagram belongs to.
    """

    def test_localAddress(self) -> None:
        """
        The same client at two of our addresses has two sessions.
        """
        udp = self.udp()
        client = ("192.0.2.9", 1)
        factory, listener = udp.factories[0], udp.listeners[0]
        for local in (("192.0.2.253", 53), ("192.0.2.254", 53)):
            factory.datagramReceived(b"x", client, local, listener)
        self.assertEqual(len(udp.dialer.made), 2)

    def test_nameless(self) -> None:
        """
        A unix client without a name has a session per datagram.
        """
        udp = self.udp("proxy_timeout 1s;")
        udp.sends(b"x", b"y", client="")
        self.assertEqual([each.heard for each in udp.dialer.made], [[b"x"], [b"y"]])
        self.assertTrue(udp.log.has("udp client unix: connected to"))

    def test_tooMany(self) -> None:
        """
        There is a limit; it is complained of once, and what is beyond it is dropped.
        """
        udp = self.udp("proxy_timeout 1s;")
        udp.factories[0].maxSessions = 2
        for port in range(5):
            udp.sends(b"x", client=("192.0.2.9", 40000 + port))
        self.assertEqual(len(udp.dialer.made), 2)
        told = [each for each in udp.log.lines if "2 udp sessions are not" in str(each)]
        self.assertEqual(len(told), 1)
        udp.reactor.passes(1)
        udp.sends(b"x")
        self.assertEqual(len(udp.dialer.made), 3)


class ListenTests(SynchronousTestCase):
    """
    C{listen ... udp}.
    """

    def test_incompatible(self) -> None:
        """
        What makes no sense with datagrams is refused.
        """
        for parameter in (
            "backlog=5",
            "fastopen=5",
            "deferred",
            "so_keepalive=on",
            "proxy_protocol",
        ):
            text = f"events {{ }} stream {{ server {{ listen 53 udp {parameter}; }} }}"
            error = self.assertRaises(
                ConfigError,
                makeGrammar().build,
                parse(text, "nginx.conf", lambda pattern, node: []),
            )
            name = parameter.partition("=")[0]
            self.assertIn(
                f'"listen" directive "{name}" parameter is incompatible with "udp"',
                str(error),
            )
