"""
Tests for L{twisted_upstream.stream.udp_upstream}.
"""

from __future__ import annotations

import errno
from random import Random

from tests.support.datagrams import CLIENT, MemoryUDP, UDPCase

OTHER = ("192.0.2.2", 50000)
PAIR = "upstream u { server 10.0.0.1:53; server 10.0.0.2:53; }"
PASSING = "server { listen 192.0.2.254:53 udp; proxy_pass u; %s }"


class SessionLifeTests(UDPCase):
    """
    When a session begins and ends.
    """

    def test_oneSocket(self) -> None:
        """
        All datagrams of a client go through one socket, and what the server sends goes
        back to this client.
        """
        udp = self.udp()
        udp.sends(b"one", b"two")
        udp.answers(0, b"1", b"2", b"3")
        udp.sends(b"three")
        self.assertEqual(udp.dialer.made[0].heard, [b"one", b"two", b"three"])
        self.assertEqual(udp.heard(), [b"1", b"2", b"3"])
        self.assertEqual(len(udp.dialer.made), 1)

    def test_clientsApart(self) -> None:
        """
        Each client has its own session.
        """
        udp = self.udp()
        udp.sends(b"one")
        udp.sends(b"two", client=OTHER)
        udp.answers(1, b"2")
        udp.answers(0, b"1")
        self.assertEqual(udp.heard(), [b"1"])
        self.assertEqual(udp.heard(OTHER), [b"2"])

    def test_responses(self) -> None:
        """
        With as many answers as are expected, the session is over; the next datagram
        begins another one.
        """
        udp = self.udp("proxy_responses 1;")
        udp.sends(b"ask")
        udp.answers(0, b"hello")
        self.assertTrue(udp.dialer.made[0].closed)
        self.assertEqual(self.accessLog(), ["200 3 5 10.0.0.1:53"])
        self.assertTrue(
            udp.log.has(
                "udp done, packets from/to client:1/1, bytes from/to client:3/5, bytes"
                " from/to upstream:5/3"
            )
        )
        udp.sends(b"again")
        self.assertEqual(udp.dialer.made[1].heard, [b"again"])

    def test_responsesPerRequest(self) -> None:
        """
        Each datagram of the client wants as many answers.
        """
        udp = self.udp("proxy_responses 2;")
        udp.sends(b"a", b"b")
        udp.answers(0, b"1", b"2", b"3")
        self.assertFalse(udp.dialer.made[0].closed)
        udp.answers(0, b"4")
        self.assertTrue(udp.dialer.made[0].closed)
        self.assertEqual(udp.heard(), [b"1", b"2", b"3", b"4"])

    def test_noResponses(self) -> None:
        """
        Where no answer is expected, a session ends when its datagram is sent.
        """
        udp = self.udp("proxy_responses 0;")
        udp.sends(b"a", b"b")
        self.assertEqual([each.heard for each in udp.dialer.made], [[b"a"], [b"b"]])
        self.assertEqual(udp.udpSessions, [])
        self.assertEqual(self.accessLog(), ["200 1 0 10.0.0.1:53"] * 2)

    def test_requests(self) -> None:
        """
        After so many datagrams the next one begins another session, while the first
        one still relays answers.
        """
        udp = self.udp("proxy_requests 2;")
        udp.sends(b"a", b"b", b"c")
        self.assertEqual(
            [each.heard for each in udp.dialer.made], [[b"a", b"b"], [b"c"]]
        )
        udp.answers(0, b"1")
        udp.answers(1, b"2")
        udp.answers(0, b"3")
        self.assertEqual(udp.heard(), [b"1", b"2", b"3"])

    def test_requestsAndResponses(self) -> None:
        """
        A session that may have more requests does not end by its answers.
        """
        udp = self.udp("proxy_requests 2; proxy_responses 1;")
        udp.sends(b"a")
        udp.answers(0, b"1")
        self.assertFalse(udp.dialer.made[0].closed)
        udp.sends(b"b")
        udp.answers(0, b"2")
        self.assertTrue(udp.dialer.made[0].closed)

    def test_empty(self) -> None:
        """
        Empty datagrams are passed on both ways; an empty one begins a session.
        """
        udp = self.udp("proxy_responses 2;")
        udp.sends(b"", b"")
        self.assertEqual(udp.dialer.made[0].heard, [b"", b""])
        udp.answers(0, b"", b"zero", b"", b"")
        self.assertEqual(udp.heard(), [b"", b"zero", b"", b""])
        self.assertEqual(self.accessLog(), ["200 0 4 10.0.0.1:53"])

    def test_large(self) -> None:
        """
        The largest datagram there is, larger than any buffer, is not cut.
        """
        udp = self.udp("proxy_buffer_size 1k;")
        udp.sends(b"x" * 65507, b"y" * 65507)
        udp.answers(0, b"z" * 65507)
        self.assertEqual(
            [len(each) for each in udp.dialer.made[0].heard], [65507, 65507]
        )
        self.assertEqual(len(udp.heard()[0]), 65507)

    def test_silent(self) -> None:
        """
        When nothing is sent for proxy_timeout, a session has ended well.
        """
        udp = self.udp("proxy_timeout 5s;")
        udp.sends(b"a")
        udp.reactor.passes(4)
        udp.answers(0, b"1")
        udp.reactor.passes(4)
        self.assertFalse(udp.dialer.made[0].closed)
        udp.reactor.passes(1)
        self.assertTrue(udp.dialer.made[0].closed)
        self.assertEqual(self.accessLog(), ["200 1 1 10.0.0.1:53"])
        self.assertTrue(udp.log.has("udp timed out, packets from/to client:1/1"))

    def test_enoughAnswers(self) -> None:
        """
        Silence after all expected answers is no failure.
        """
        udp = self.udp("proxy_timeout 5s; proxy_requests 2; proxy_responses 1;")
        udp.sends(b"a")
        udp.answers(0, b"1")
        udp.reactor.passes(5)
        self.assertEqual(self.accessLog(), ["200 1 1 10.0.0.1:53"])

    def test_firstByte(self) -> None:
        """
        The time of the first answer counts, not that of the others.
        """
        udp = self.udp(
            "access_log access.log times;",
            "log_format times $upstream_first_byte_time/$upstream_session_time;"
            " proxy_responses 2;",
        )
        udp.sends(b"a")
        udp.reactor.passes(1)
        udp.answers(0, b"1")
        udp.reactor.passes(1)
        udp.answers(0, b"2")
        self.assertEqual(self.accessLog(), ["1.000/2.000"])


class FailureTests(UDPCase):
    """
    Servers that are not there.
    """

    def test_missing(self) -> None:
        """
        When answers are missing after proxy_timeout, that is 502, and the server has
        failed: the next session goes elsewhere.
        """
        udp = self.udpBlock(PAIR + PASSING % "proxy_responses 1; proxy_timeout 5s;")
        udp.sends(b"a")
        udp.reactor.passes(5)
        self.assertEqual(self.accessLog(), ["502 1 0 10.0.0.1:53"])
        self.assertTrue(
            udp.log.has(
                "upstream timed out (110: Connection timed out) while proxying"
                " connection, udp client: 192.0.2.1, server: 192.0.2.254:53, upstream:"
                ' "10.0.0.1:53", bytes from/to client:1/0, bytes from/to upstream:0/1'
            )
        )
        self.assertTrue(udp.log.has("upstream server temporarily disabled"))
        for _ in range(2):
            udp.sends(b"b")
            udp.answers(-1, b"1")
        self.assertEqual(udp.dialer.names, ["10.0.0.1:53"] + ["10.0.0.2:53"] * 2)

    def test_refused(self) -> None:
        """
        An ICMP error stands for an answer, and the server has failed.
        """
        udp = self.udpBlock(PAIR + PASSING % "proxy_responses 1;")
        udp.sends(b"a")
        udp.answers(0, errno.ECONNREFUSED)
        self.assertEqual(self.accessLog(), ["200 1 0 10.0.0.1:53"])
        self.assertTrue(
            udp.log.has(
                "recv() failed (111: Connection refused) while proxying and reading"
                " from upstream, udp client: 192.0.2.1"
            )
        )
        self.assertEqual(udp.heard(), [])
        for _ in range(2):
            udp.sends(b"b")
            udp.answers(-1, b"1")
        self.assertEqual(udp.dialer.names, ["10.0.0.1:53"] + ["10.0.0.2:53"] * 2)

    def test_refusedOnce(self) -> None:
        """
        Where the number of answers is not known, the session goes on: the server may
        have come back.  It has failed all the same.
        """
        udp = self.udpBlock(PAIR + PASSING % "proxy_timeout 5s;")
        udp.sends(b"a")
        udp.answers(0, errno.ECONNREFUSED)
        udp.sends(b"b")
        udp.answers(0, b"1")
        self.assertEqual(udp.heard(), [b"1"])
        udp.reactor.passes(5)
        udp.sends(b"c")
        udp.sends(b"d", client=OTHER)
        self.assertEqual(udp.dialer.names, ["10.0.0.1:53"] + ["10.0.0.2:53"] * 2)

    def test_refusedWhileSending(self) -> None:
        """
        When sending shows the error, the session ends.
        """
        udp = self.udpBlock(PAIR + PASSING % "")
        udp.sends(b"a")
        udp.dialer.made[0].error = errno.ECONNREFUSED
        udp.sends(b"b")
        self.assertTrue(udp.dialer.made[0].closed)
        self.assertEqual(self.accessLog(), ["200 2 0 10.0.0.1:53"])
        self.assertTrue(
            udp.log.has(
                "sendmsg() failed (111: Connection refused) while proxying and sending"
                " to upstream"
            )
        )

    def test_unreachable(self) -> None:
        """
        Where there is no way to a server, the next one gets the datagram.
        """
        udp = self.udpBlock(PAIR + PASSING % "proxy_responses 1;")
        udp.dialer.failing["10.0.0.1:53"] = errno.ENETUNREACH
        udp.sends(b"a")
        udp.answers(0, b"1")
        self.assertEqual(udp.heard(), [b"1"])
        self.assertEqual(self.accessLog(), ["200 1 1 10.0.0.1:53, 10.0.0.2:53"])

    def test_noWay(self) -> None:
        """
        Where there is no way to any, that is 502.
        """
        udp = self.udp()
        udp.dialer.failing["10.0.0.1:53"] = errno.ENETUNREACH
        udp.sends(b"a")
        self.assertEqual(self.accessLog(), ["502 1 0 10.0.0.1:53"])
        self.assertTrue(udp.log.has("connect() to 10.0.0.1:53 failed (101: "))

    def test_deafClient(self) -> None:
        """
        When a client cannot be sent to, its session ends; the log says why, and it is
        not the server's fault.
        """
        for number, message in (
            (errno.EAGAIN, "shared connection is busy while"),
            (errno.ENETUNREACH, "sendmsg() failed (101: "),
            (errno.EMSGSIZE, "sendmsg() failed (90: "),
        ):
            udp = self.udpBlock(PAIR + PASSING % "")
            udp.sends(b"a")
            udp.sockets[0].error = number
            udp.answers(0, b"1")
            self.assertEqual(self.accessLog(), ["200 1 0 10.0.0.1:53"])
            self.assertTrue(udp.log.has(message))
            self.assertTrue(udp.log.has("while proxying and sending to client"))
            (group,) = udp.build.groups
            self.assertEqual([each.fails for each in group.peers.peers], [0, 0])


class HeaderTests(UDPCase):
    """
    C{proxy_protocol} over UDP.
    """

    def test_first(self) -> None:
        """
        The first datagram, and no other, begins with the header.
        """
        udp = self.udp("proxy_protocol on;")
        udp.sends(b"one", b"two")
        self.assertEqual(
            udp.dialer.made[0].heard,
            [b"PROXY TCP4 192.0.2.1 192.0.2.254 50000 53\r\none", b"two"],
        )

    def test_version2(self) -> None:
        """
        Version 2 says that it is about datagrams.
        """
        udp = self.udp("proxy_protocol v2;")
        udp.sends(b"one")
        heard = udp.dialer.made[0].heard[0]
        self.assertEqual(heard[12:14], b"\x21\x12")
        self.assertTrue(heard.endswith(b"one"))

    def test_withoutTLS(self) -> None:
        """
        What is said of TLS, with clients or servers, is not about datagrams.
        """
        udp = self.udp("ssl_preread on; proxy_ssl on; proxy_protocol on;")
        udp.sends(b"one")
        self.assertEqual(
            udp.dialer.made[0].heard,
            [b"PROXY TCP4 192.0.2.1 192.0.2.254 50000 53\r\none"],
        )


class RateTests(UDPCase):
    """
    C{proxy_upload_rate} and C{proxy_download_rate}.
    """

    def test_upload(self) -> None:
        """
        A client that is too fast loses whole datagrams, which count for nothing.
        """
        udp = self.udp("proxy_upload_rate 500; proxy_timeout 30s;")
        udp.sends(b"x" * 1000, b"y" * 1000)
        self.assertEqual(udp.dialer.made[0].heard, [b"x" * 1000])
        udp.reactor.passes(1)
        udp.sends(b"y" * 1000)
        self.assertEqual(udp.dialer.made[0].heard, [])
        udp.reactor.passes(1)
        udp.sends(b"z" * 1000)
        self.assertEqual(udp.dialer.made[0].heard, [b"z" * 1000])
        (session,) = udp.udpSessions
        self.assertEqual(session.bytesReceived, 2000)

    def test_download(self) -> None:
        """
        A server that is too fast is not read for a while.
        """
        udp = self.udp("proxy_download_rate 500;")
        udp.sends(b"a")
        udp.answers(0, b"x" * 1000, b"y" * 1000)
        self.assertEqual(udp.heard(), [b"x" * 1000])
        udp.reactor.passes(1.9)
        self.assertEqual(len(udp.heard()), 1)
        udp.reactor.passes(0.2)
        self.assertEqual(len(udp.heard()), 2)

    def test_sleepIsNoSilence(self) -> None:
        """
        There is no time-out while a direction sleeps.
        """
        udp = self.udp("proxy_download_rate 10; proxy_timeout 1s;")
        udp.sends(b"a")
        udp.answers(0, b"x" * 100, b"y")
        udp.reactor.passes(9.9)
        self.assertEqual(len(udp.udpSessions), 1)
        udp.reactor.passes(0.2)
        self.assertEqual(udp.heard()[1:], [b"y"])
        udp.reactor.passes(1)
        self.assertEqual(udp.udpSessions, [])


class WaitingTests(UDPCase):
    """
    Datagrams that cannot be sent yet.
    """

    def test_full(self) -> None:
        """
        When the kernel takes no more, so many bytes wait, and what is beyond is
        dropped.
        """
        udp = self.udp("proxy_buffer_size 1k;")
        udp.sends(b"0")
        made = udp.dialer.made[0]
        made.room = 0
        udp.sends(*(b"%d" % n * 600 for n in range(1, 6)))
        made.room = None
        udp.reactor.settle()
        self.assertEqual([each[:1] for each in made.heard], [b"0", b"1", b"2"])
        (session,) = udp.udpSessions
        self.assertEqual(session.bytesReceived, 1201)

    def test_manyEmpty(self) -> None:
        """
        Empty datagrams take memory, too.
        """
        udp = self.udp()
        udp.sends(b"0")
        made = udp.dialer.made[0]
        made.room = 0
        udp.sends(*([b""] * 3000))
        made.room = None
        udp.reactor.settle()
        self.assertEqual(len(made.heard), 1025)

    def test_notDone(self) -> None:
        """
        A session is not over before everything is sent.
        """
        udp = self.udp("proxy_requests 2; proxy_responses 0;")
        udp.sends(b"a")
        made = udp.dialer.made[0]
        made.room = 0
        udp.sends(b"b")
        self.assertFalse(made.closed)
        made.room = None
        udp.reactor.settle()
        self.assertTrue(made.closed)
        self.assertEqual(made.heard, [b"a", b"b"])

    def test_failsLater(self) -> None:
        """
        What waited may find an error, too.
        """
        udp = self.udp()
        udp.sends(b"a")
        made = udp.dialer.made[0]
        made.room = 0
        udp.sends(b"b")
        made.error = errno.ECONNREFUSED
        made.room = None
        udp.reactor.settle()
        self.assertTrue(made.closed)
        self.assertEqual(self.accessLog(), ["200 2 0 10.0.0.1:53"])

    def test_resolving(self) -> None:
        """
        While the server's name is looked up, datagrams wait; so many.
        """
        udp = self.udpBlock(
            "resolver 127.0.0.1; proxy_buffer_size 1k;"
            " server { listen 192.0.2.254:53 udp; set $name backend:53;"
            " proxy_pass $name; }"
        )
        udp.sends(b"a", b"b", b"c" * 1024, b"d")
        self.assertEqual(udp.dialer.made, [])
        ((_, found, _),) = udp.names.asked
        udp.names.asked.clear()
        found(["10.0.0.7"])
        udp.reactor.settle()
        self.assertEqual(udp.dialer.names, ["10.0.0.7:53"])
        self.assertEqual(udp.dialer.made[0].heard, [b"a", b"b", b"c" * 1024])


class BalancingTests(UDPCase):
    """
    Sessions count like connections.
    """

    def test_leastConn(self) -> None:
        """
        A server with fewer sessions gets the next one.
        """
        udp = self.udpBlock(
            PAIR.replace("{", "{ least_conn;", 1) + PASSING % "proxy_responses 1;"
        )
        udp.sends(b"a")
        udp.sends(b"b", client=OTHER)
        udp.answers(1, b"1")
        udp.sends(b"c", client=OTHER)
        self.assertEqual(
            udp.dialer.names, ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.2:53"]
        )

    def test_hash(self) -> None:
        """
        Sessions of one client address stay with one server.
        """
        udp = self.udpBlock(
            PAIR.replace("{", "{ hash $remote_addr;", 1)
            + PASSING % "proxy_responses 1;"
        )
        for port in range(5):
            udp.sends(b"a", client=("192.0.2.9", 40000 + port))
        self.assertEqual(len(set(udp.dialer.names)), 1)

    def test_maxConns(self) -> None:
        """
        A server has no more sessions than it may.
        """
        udp = self.udpBlock(
            "upstream u { server 10.0.0.1:53 max_conns=1; server 10.0.0.2:53"
            " max_conns=1; }" + PASSING % "proxy_responses 1;"
        )
        udp.sends(b"a")
        udp.sends(b"b", client=OTHER)
        udp.sends(b"c", client=("192.0.2.3", 1))
        self.assertEqual(self.accessLog(), ["502 1 0 u"])
        udp.answers(0, b"1")
        udp.sends(b"d")
        self.assertEqual(
            udp.dialer.names, ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.1:53"]
        )


class ChanceTests(UDPCase):
    """
    Whatever happens, in whichever order.
    """

    def test_orders(self) -> None:
        """
        Nothing is left over, and each session is logged once, with what it has counted.
        """
        for seed in range(60):
            chance = Random(seed)
            udp = self.udpBlock(
                "upstream u { least_conn; server 10.0.0.1:53 max_conns=3;"
                " server 10.0.0.2:53 backup; }"
                + PASSING
                % (
                    f"proxy_requests {chance.randrange(3)};"
                    + chance.choice(("", "proxy_responses 0;", "proxy_responses 2;"))
                    + chance.choice(("", "proxy_upload_rate 3;"))
                    + chance.choice(("", "proxy_download_rate 3;"))
                    + "proxy_timeout 2s; proxy_buffer_size 1k;"
                )
            )
            for _ in range(60):
                self.step(udp, chance)
            if chance.random() < 0.5:
                udp.factories[0].drain(lambda: None)
            udp.factories[0].stop()
            udp.reactor.settle()
            begun = [str(each) for each in udp.log.lines if "udp client" in str(each)]
            ended = len(self.accessLog())
            self.assertEqual(len([x for x in begun if " connected to " in x]), ended)
            self.assertEqual(udp.udpSessions, [])

    def step(self, udp: MemoryUDP, chance: Random) -> None:
        """
        Something happens.
        """
        made = [each for each in udp.dialer.made if not each.closed]
        dice = chance.randrange(10)
        if dice < 4 or not made:
            client = ("192.0.2.1", chance.randrange(1, 5))
            udp.sends(b"x" * chance.choice((0, 1, 5, 600)), client=client)
        elif dice < 7:
            server = udp.dialer.made.index(chance.choice(made))
            udp.answers(server, chance.choice((b"", b"y" * 5, errno.ECONNREFUSED)))
        elif dice == 7:
            chance.choice(made).room = chance.choice((None, 0, 1))
            udp.reactor.settle()
        elif dice == 8:
            chance.choice(made).error = chance.choice((0, errno.ECONNREFUSED))
            udp.sockets[0].room = chance.choice((None, None, None, 0))
        else:
            udp.reactor.passes(chance.choice((0.1, 1, 2.5)))


class DrainTests(UDPCase):
    """
    Another configuration has taken over.
    """

    def setUp(self) -> None:
        """
        Nothing has drained.
        """
        self.drained: list[str] = []

    def drain(self, *, closed: bool = False, more: str = "") -> None:
        """
        One session, then the end of its configuration.
        """
        udp = self.begun = self.udp(more)
        udp.sends(b"a")
        if closed:
            udp.listeners[0].close()
        else:
            udp.listeners[0].received = lambda *event: None
        udp.factories[0].drain(lambda: self.drained.append("drained"))

    def test_oneMoreAnswer(self) -> None:
        """
        A session whose answers nobody has counted gets one more.
        """
        self.drain()
        self.assertEqual(self.drained, [])
        self.begun.answers(0, b"1", b"2")
        self.assertEqual(self.begun.heard(), [b"1"])
        self.assertEqual(self.drained, ["drained"])
        self.assertTrue(self.begun.log.has("*1 disconnected on shutdown"))
        self.assertEqual(self.accessLog(), ["200 1 1 10.0.0.1:53"])

    def test_missingAnswers(self) -> None:
        """
        A session that expects answers gets them.
        """
        self.drain(more="proxy_responses 2;")
        self.begun.answers(0, b"1")
        self.assertEqual(self.drained, [])
        self.begun.answers(0, b"2")
        self.assertEqual(self.drained, ["drained"])
        self.assertEqual(self.begun.heard(), [b"1", b"2"])

    def test_nothingMissing(self) -> None:
        """
        A session that has its answers and waits for the client only, ends at once.
        """
        udp = self.udp("proxy_requests 2; proxy_responses 1;")
        udp.sends(b"a")
        udp.answers(0, b"1")
        udp.factories[0].drain(lambda: self.drained.append("drained"))
        self.assertEqual(self.drained, ["drained"])

    def test_silent(self) -> None:
        """
        The time-out counts as before.
        """
        self.drain(more="proxy_timeout 5s;")
        self.begun.reactor.passes(5)
        self.assertEqual(self.drained, ["drained"])

    def test_closed(self) -> None:
        """
        Where the socket is closed, sessions end at once.
        """
        self.drain(closed=True, more="proxy_responses 1;")
        self.assertEqual(self.drained, ["drained"])
        self.assertTrue(self.begun.log.has("*1 disconnected on shutdown"))
        self.assertEqual(self.accessLog(), ["200 1 0 10.0.0.1:53"])

    def test_shutdownTimeout(self) -> None:
        """
        Who has waited long enough stops them.
        """
        self.drain()
        self.begun.factories[0].stop()
        self.assertEqual(self.drained, ["drained"])
        self.assertTrue(self.begun.log.has("shutdown timeout"))

    def test_noSession(self) -> None:
        """
        Without sessions there is nothing to wait for.
        """
        udp = self.udp()
        udp.factories[0].drain(lambda: self.drained.append("drained"))
        self.assertEqual(self.drained, ["drained"])

    def test_nextSession(self) -> None:
        """
        The client's next datagram is not for a session that drains.
        """
        self.drain()
        self.assertEqual(dict(self.begun.factories[0].bound), {})
        self.begun.factories[0].isDraining = False
        self.begun.listeners[0].received = self.begun.factories[0].datagramReceived
        self.begun.sends(b"b", client=CLIENT)
        self.assertEqual(len(self.begun.dialer.made), 2)
