"""
Servers that tests shake hands with.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import RecordingReactor
from tests.support.certificates import Issued, authority
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.tls.context import Settings, clientContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.handshake import Turns
from twisted_upstream.tls.names import matchesLeniently, matchesStrictly
from twisted_upstream.upstream.tls_handshake import (
    ServerRefused,
    UpstreamHandshake,
)
from twisted_upstream.upstream.tls_identity import Identity, identityOf


class Waiter:
    """
    Who waits for a connection.
    """

    def __init__(self) -> None:
        self.ready: list[Any] = []
        self.failed: list[Exception] = []

    def connectionReady(self, connection: Any) -> None:
        """
        There is one.
        """
        self.ready.append(connection)

    def connectionFailed(self, reason: Exception) -> None:
        """
        There is none.
        """
        self.failed.append(reason)


class Protocol:
    """
    Receives.
    """

    identity: Any = None

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        """
        The connection is open.
        """
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        """
        Data.
        """
        self.data += data

    def connectionLost(self, reason: Any) -> None:
        """
        The end.
        """


@dataclass(frozen=True)
class Backend:
    """
    What a server presents.
    """

    chain: Sequence[Issued]
    seclevel: int | None = None
    version: int | None = None

    def context(self) -> SSL.Context:
        """
        As OpenSSL has it, with nothing of ours.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        if self.seclevel is not None:
            context.set_cipher_list(b"DEFAULT:@SECLEVEL=%d" % self.seclevel)
        if self.version is not None:
            context.set_max_proto_version(self.version)
            context.set_min_proto_version(self.version)
        context.use_certificate(
            crypto.X509.from_cryptography(self.chain[0].certificate)
        )
        for each in self.chain[1:]:
            context.add_extra_chain_cert(
                crypto.X509.from_cryptography(each.certificate)
            )
        context.use_privatekey(crypto.PKey.from_cryptography_key(self.chain[0].key))
        context.set_session_id(b"test")
        return context


@dataclass
class Meeting:
    """
    Both ends of one connection after their handshake, or what became of it.
    """

    server: SSL.Connection
    serverSocket: socket.socket
    protocol: Protocol
    waiter: Waiter
    reactor: RecordingReactor
    handshake: UpstreamHandshake
    received: bytes = field(default=b"")

    def pump(self) -> None:
        """
        Let both sides go on until nothing happens any more.
        """
        for _ in range(20):
            for each in list(self.reactor.readers):
                each.doRead()
            for each in list(self.reactor.writers):
                each.doWrite()
            self.reactor.turn()
            try:
                self.received += self.server.recv(65536)
            except (SSL.Error, OSError):
                pass


class TLSTestCase(SynchronousTestCase):
    """
    Meets a server on a pair of sockets.
    """

    def setUp(self) -> None:
        """
        An authority.
        """
        self.root = authority()

    def meet(
        self,
        context: SSL.Context,
        identity: Identity,
    ) -> Meeting:
        """
        Shake hands.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        theirs.setblocking(False)
        reactor = RecordingReactor()
        waiter, protocol = Waiter(), Protocol()
        server = SSL.Connection(context, theirs)
        server.set_accept_state()
        handshake = UpstreamHandshake(
            identity,
            ours,
            ("127.0.0.1", 443),
            protocol,
            waiter,
            reactor,
            Turns(reactor),
        )
        meeting = Meeting(server, theirs, protocol, waiter, reactor, handshake)
        handshake.start(Deadlines(reactor), 60.0)
        meeting.pump()
        return meeting

    def identity(
        self,
        name: str = "good.example",
        *,
        strict: bool = False,
        verify: bool = True,
        trusted: Sequence[Issued] | None = None,
        crls: Sequence[bytes] = (),
        depth: int = 1,
        protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3"),
        reuse: bool = True,
        pairs: tuple[KeyPair, ...] = (),
    ) -> Identity:
        """
        Whom we want to meet.
        """
        found = (self.root,) if trusted is None else trusted
        settings = Settings(
            ciphers="DEFAULT",
            trusted=tuple(each.der for each in found),
            crls=tuple(
                x509.load_pem_x509_crl(each).public_bytes(Encoding.DER) for each in crls
            ),
            verify=verify,
            depth=depth,
            protocols=protocols,
            reuse=reuse,
            pairs=pairs,
        )
        check = matchesStrictly if strict else matchesLeniently
        return identityOf(
            b"group",
            clientContext(settings),
            name.encode() if verify else b"",
            name.encode() if name else b"",
            check if verify else None,
        )

    def outcome(
        self, chain: Sequence[Issued], seclevel: int | None = None, **said: Any
    ) -> list[str]:
        """
        What is wrong with a server, over both versions; empty: nothing.
        """
        found = set()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            context = Backend(chain, seclevel, version).context()
            identity = self.identity(**said)
            before = dict(identity.context.sessions)
            meeting = self.meet(context, identity)
            self.assertEqual(len(meeting.waiter.ready) + len(meeting.waiter.failed), 1)
            # Whoever is refused learns nothing of what was going to be said.
            self.assertEqual(meeting.received, b"")
            if meeting.waiter.failed:
                reason = meeting.waiter.failed[0]
                self.assertIsInstance(reason, ServerRefused)
                found.add(str(reason))
                self.assertLessEqual(set(identity.context.sessions), set(before))
        return sorted(found)

    def assertRefused(
        self, number: int | None, chain: Sequence[Issued], **said: Any
    ) -> None:
        """
        The server is refused, for a reason.

        @param number: OpenSSL's; C{None}: the name is another.
        """
        found = self.outcome(chain, **said)
        self.assertTrue(found)
        for each in found:
            if number is None:
                self.assertIn("upstream SSL certificate does not match", each)
            else:
                self.assertIn(f"certificate verify error: ({number}:", each)

    def assertAccepted(self, chain: Sequence[Issued], **said: Any) -> None:
        """
        Nothing is wrong with the server.
        """
        self.assertEqual(self.outcome(chain, **said), [])
