"""
Tests of L{twisted_upstream.upstream.tls_handshake}: how it goes, and what is
remembered of a server.
"""

from __future__ import annotations

import socket

from OpenSSL import SSL

from tests.net.reactors import RecordingReactor
from tests.support.certificates import authority, issue
from tests.upstream.meeting import Backend, Meeting, Protocol, TLSTestCase, Waiter
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.tls.handshake import Turns
from twisted_upstream.upstream.tls_handshake import (
    HandshakeTimedOut,
    UpstreamHandshake,
)
from twisted_upstream.upstream.tls_identity import Identity


class SessionTests(TLSTestCase):
    """
    Resuming.
    """

    def exchange(self, meeting: Meeting) -> None:
        """
        Let something be said, so that tickets arrive.
        """
        self.assertEqual(meeting.waiter.failed, [])
        meeting.server.send(b"hello")
        meeting.pump()
        self.assertEqual(meeting.protocol.data, b"hello")

    def resumes(self, context: SSL.Context, identity: Identity) -> bool:
        """
        Was an earlier session resumed?
        """
        from twisted_upstream.tls import openssl

        meeting = self.meet(context, identity)
        self.exchange(meeting)
        reused = openssl.isReused(openssl.raw(meeting.server))
        # One that is never closed takes its session along when it is collected.
        meeting.protocol.transport.loseConnection()
        meeting.pump()
        return reused

    def test_resumed(self) -> None:
        """
        A later connection to the same server resumes the session, in both versions.
        """
        for version in ("TLSv1.2", "TLSv1.3"):
            context = Backend([issue(issuer=self.root)]).context()
            identity = self.identity(protocols=(version,))
            self.assertFalse(self.resumes(context, identity))
            self.assertTrue(self.resumes(context, identity), version)

    def test_otherName(self) -> None:
        """
        No other name is served by it, and nobody who trusts others.
        """
        leaf = issue(issuer=self.root, alternatives=["good.example", "other.example"])
        context = Backend([leaf]).context()
        # Held, as a configuration holds its own.
        first = self.identity()
        self.assertFalse(self.resumes(context, first))
        self.assertFalse(self.resumes(context, self.identity("other.example")))
        self.assertFalse(self.resumes(context, self.identity(verify=False)))
        self.assertTrue(self.resumes(context, first))
        trusted = [authority("Other")]
        meeting = self.meet(context, self.identity(trusted=trusted))
        self.assertIn("(21:", str(meeting.waiter.failed[0]))

    def test_off(self) -> None:
        """
        Nothing is resumed where that is switched off.
        """
        context = Backend([issue(issuer=self.root)]).context()
        identity = self.identity(reuse=False)
        self.assertFalse(self.resumes(context, identity))
        self.assertFalse(self.resumes(context, identity))

    def test_refusedIsForgotten(self) -> None:
        """
        Who is refused is refused the next time, too.
        """
        leaf = issue("bad.example", self.root)
        context = Backend([leaf]).context()
        identity = self.identity()
        for _ in range(3):
            meeting = self.meet(context, identity)
            self.assertIn("does not match", str(meeting.waiter.failed[0]))


class HandshakeTests(TLSTestCase):
    """
    Handshakes that come to nothing.
    """

    def talk(self, answer: bytes) -> Meeting:
        """
        A server that answers the hello with something else.
        """
        context = Backend([issue(issuer=self.root)]).context()
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        reactor = RecordingReactor()
        waiter, protocol = Waiter(), Protocol()
        handshake = UpstreamHandshake(
            self.identity(),
            ours,
            ("127.0.0.1", 443),
            protocol,
            waiter,
            reactor,
            Turns(reactor),
        )
        handshake.start(Deadlines(reactor), 60.0)
        theirs.recv(65536)
        if answer:
            theirs.send(answer)
        else:
            theirs.close()
        for each in list(reactor.readers):
            each.doRead()
        reactor.turn()
        server = SSL.Connection(context, None)
        return Meeting(server, theirs, protocol, waiter, reactor, handshake)

    def test_plain(self) -> None:
        """
        A server that does not know TLS.
        """
        meeting = self.talk(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertIn("wrong version number", str(meeting.waiter.failed[0]))
        self.assertEqual(meeting.reactor.readers, set())

    def test_closed(self) -> None:
        """
        A server that closes.
        """
        meeting = self.talk(b"")
        self.assertIn(
            "peer closed connection in SSL handshake", str(meeting.waiter.failed[0])
        )

    def test_alert(self) -> None:
        """
        A server that says what it does not like.
        """
        meeting = self.talk(b"\x15\x03\x03\x00\x02\x02\x28")
        self.assertIn("SSL alert number 40", str(meeting.waiter.failed[0]))

    def test_silence(self) -> None:
        """
        A server that says nothing is given up in time, and nothing is left.
        """
        context = Backend([issue(issuer=self.root)]).context()
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        self.assertTrue(context)
        reactor = RecordingReactor()
        waiter = Waiter()
        handshake = UpstreamHandshake(
            self.identity(),
            ours,
            ("127.0.0.1", 443),
            Protocol(),
            waiter,
            reactor,
            Turns(reactor),
        )
        handshake.start(Deadlines(reactor), 3.0)
        reactor.advance(3.0)
        self.assertIsInstance(waiter.failed[0], HandshakeTimedOut)
        reactor.turn()
        self.assertEqual(ours.fileno(), -1)
        self.assertEqual(reactor.readers | reactor.writers, set())

    def test_givenUp(self) -> None:
        """
        Whoever gives up is told nothing more.
        """
        context = Backend([issue(issuer=self.root)]).context()
        meeting = self.meet(context, self.identity())
        self.assertEqual(len(meeting.waiter.ready), 1)
        meeting.handshake.giveUp()
        self.assertEqual(meeting.waiter.failed, [])


class TruncationTests(TLSTestCase):
    """
    The end of what a server says.
    """

    def test_saidAndNot(self) -> None:
        """
        An end that was announced is one; any other may be an attack.
        """
        for announced in (True, False):
            context = Backend([issue(issuer=self.root)]).context()
            meeting = self.meet(context, self.identity())
            meeting.server.send(b"hello")
            if announced:
                meeting.server.shutdown()
            meeting.serverSocket.shutdown(socket.SHUT_WR)
            meeting.pump()
            self.assertEqual(meeting.protocol.data, b"hello")
            self.assertEqual(meeting.protocol.transport.truncated, not announced)
