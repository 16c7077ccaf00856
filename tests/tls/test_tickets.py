"""
Tests for L{twisted_upstream.tls.tickets}: servers and clients of OpenSSL, in memory.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import issue
from twisted_upstream.tls import openssl
from twisted_upstream.tls.context import Context, Settings, serverContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.tickets import TicketKeys, converse, keyName
from twisted_upstream.wire.client_hello import ClientHelloParser

_LIFE = 300


class TicketKeysTests(SynchronousTestCase):
    """
    L{TicketKeys}, as contexts use it.
    """

    clientContext: SSL.Context

    def makeContext(self, **settings: Any) -> Context:
        """
        A server's context that no other test has.
        """
        issued = issue()
        key = crypto.PKey.from_cryptography_key(issued.key)
        pair = KeyPair("c", (issued.der,), "k", issued.keyPem, key)
        wanted = {"cache": "shared", "timeout": _LIFE, **settings}
        return serverContext(Settings(pairs=(pair,), **wanted))

    def begin(
        self, version: int, session: SSL.Session | None = None
    ) -> tuple[SSL.Connection, bytes]:
        """
        A client, and its first words.
        """
        # A session belongs to its context.
        if session is None:
            self.clientContext = SSL.Context(SSL.TLS_CLIENT_METHOD)
            self.clientContext.set_max_proto_version(version)
        client = SSL.Connection(self.clientContext)
        client.set_connect_state()
        if session is not None:
            client.set_session(session)
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        return client, client.bio_read(1 << 16)

    def visit(
        self,
        context: Context,
        now: float,
        version: int = SSL.TLS1_3_VERSION,
        session: SSL.Session | None = None,
    ) -> SSL.Connection:
        """
        A client that connects, and reads what it is told.
        """
        client, said = self.begin(version, session)
        hello = ClientHelloParser().parse(said)
        server = SSL.Connection(context.answering(hello, now))
        server.set_accept_state()
        server.bio_write(said)
        converse(client, server)
        return client

    def name(self, client: SSL.Connection) -> bytes:
        """
        The name of the key of the ticket that a client was given.
        """
        name = openssl.ticketName(openssl.raw(client))
        self.assertEqual(len(name), 16)
        return name

    def isResumed(self, client: SSL.Connection) -> bool:
        """
        Was a ticket taken?
        """
        return openssl.isReused(openssl.raw(client))

    def test_keyName(self) -> None:
        """
        Each context has a key of its own, and the same for all its clients.
        """
        context = self.makeContext()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            found = self.name(self.visit(context, 0, version))
            self.assertEqual(found, keyName(context.ssl))
        self.assertNotEqual(keyName(self.makeContext().ssl), found)

    def test_hello(self) -> None:
        """
        A client that comes back says the name of its ticket's key; a new one none.
        """
        context = self.makeContext()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            client = self.visit(context, 0, version)
            _, said = self.begin(version, client.get_session())
            hello = ClientHelloParser().parse(said)
            assert hello is not None
            self.assertEqual(hello.ticketName, self.name(client))
            _, said = self.begin(version)
            hello = ClientHelloParser().parse(said)
            assert hello is not None
            self.assertEqual(hello.ticketName, b"")

    def test_renewed(self) -> None:
        """
        After the life of a session the key is another one.
        """
        context = self.makeContext()
        first = self.name(self.visit(context, 1000))
        self.assertEqual(self.name(self.visit(context, 1000 + _LIFE - 1)), first)
        second = self.name(self.visit(context, 1000 + _LIFE))
        self.assertNotEqual(second, first)
        self.assertEqual(self.name(self.visit(context, 1000 + 2 * _LIFE - 1)), second)
        self.assertNotEqual(self.name(self.visit(context, 1000 + 2 * _LIFE)), second)

    def test_resumed(self) -> None:
        """
        A ticket is good until its key was followed by two others.
        """
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            context = self.makeContext()
            for begun, now, resumed in (
                (0, 1, True),
                (0, _LIFE - 1, True),
                (_LIFE - 1, _LIFE, True),
                (_LIFE, 2 * _LIFE - 1, True),
                (_LIFE, 2 * _LIFE, True),
                (2 * _LIFE, 4 * _LIFE, True),
            ):
                client = self.visit(context, begun, version)
                again = self.visit(context, now, version, client.get_session())
                self.assertEqual(self.isResumed(again), resumed, (version, begun))
            # This one's key was followed by one when it came back, now by two.
            session = self.visit(context, 4 * _LIFE, version).get_session()
            theirs = self.clientContext
            self.visit(context, 5 * _LIFE, version)
            self.visit(context, 6 * _LIFE, version)
            self.clientContext = theirs
            again = self.visit(context, 6 * _LIFE, version, session)
            self.assertFalse(self.isResumed(again))

    def test_gone(self) -> None:
        """
        A key that was followed by two others is nowhere any more.
        """
        context = self.makeContext()
        first = weakref.ref(context.answering(None, 0))
        context.answering(None, _LIFE)
        gc.collect()
        self.assertIsNotNone(first())
        context.answering(None, 2 * _LIFE)
        gc.collect()
        self.assertIsNone(first())

    def test_notRenewed(self) -> None:
        """
        Without a shared cache nothing changes, as in nginx; without tickets neither:
        sessions would be forgotten.
        """
        for more in (
            {"cache": "none"},
            {"cache": "builtin"},
            {"tickets": False},
            {"commands": (("Options", "-SessionTicket"),)},
        ):
            context = self.makeContext(**more)
            first = context.answering(None, 0)
            for times in range(1, 5):
                self.assertIs(context.answering(None, times * _LIFE), first)

    def test_unknownName(self) -> None:
        """
        Where the key's name cannot be found out, since only clients with a strange
        protocol are served, new keys come all the same, and serve all.
        """
        context = self.makeContext(protocols=("TLSv1.1",))
        self.assertEqual(keyName(context.ssl), b"")
        first = context.answering(None, 0)
        _, said = self.begin(SSL.TLS1_2_VERSION)
        hello = ClientHelloParser().parse(said)
        second = context.answering(hello, _LIFE)
        self.assertIsNot(second, first)
        self.assertIs(context.answering(hello, _LIFE), second)

    def test_cannotBeRenewed(self) -> None:
        """
        When no other context can be made, the one that is there goes on, and the next
        time it is tried again.
        """
        context = self.makeContext()
        others = [context.ssl]

        def make() -> SSL.Context:
            return others.pop()

        keys = TicketKeys(self.makeContext().ssl, _LIFE, make)
        first = keys.contextFor(None, 0)
        self.assertIs(keys.contextFor(None, _LIFE), context.ssl)
        self.assertIs(keys.contextFor(None, 2 * _LIFE), context.ssl)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        others.append(first)
        self.assertIs(keys.contextFor(None, 2 * _LIFE + 1), context.ssl)
        self.assertIs(keys.contextFor(None, 3 * _LIFE), first)
