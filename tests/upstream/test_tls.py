"""
Tests of L{twisted_upstream.upstream.tls}: who is refused, and what is remembered of
those who are not.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import RecordingReactor
from tests.support.certificates import CLIENT, SERVER, Issued, authority, issue
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.tls.context import Settings, clientContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.handshake import Turns
from twisted_upstream.tls.names import matchesLeniently, matchesStrictly
from twisted_upstream.upstream.tls import (
    HandshakeTimedOut,
    Identity,
    ServerRefused,
    UpstreamHandshake,
    identityOf,
)


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


class ChainTests(TLSTestCase):
    """
    Chains of certificates.
    """

    def test_good(self) -> None:
        """
        A certificate of a trusted authority is accepted.
        """
        self.assertAccepted([issue(issuer=self.root)])

    def test_selfSigned(self) -> None:
        """
        One that signed itself is refused, unless it is the trusted one.
        """
        alone = issue()
        self.assertRefused(18, [alone])
        self.assertAccepted([alone], trusted=[alone])

    def test_unknownAuthority(self) -> None:
        """
        Another authority's is refused, whether it is sent along or not.
        """
        other = authority("Other")
        leaf = issue(issuer=other)
        self.assertRefused(21, [leaf])
        self.assertRefused(19, [leaf, other])

    def test_intermediate(self) -> None:
        """
        What stands between the certificate and a trusted one must be sent, or be in
        the file.
        """
        middle = authority("Middle", self.root)
        leaf = issue(issuer=middle)
        self.assertRefused(21, [leaf])
        self.assertAccepted([leaf, middle])
        self.assertAccepted([leaf], trusted=[self.root, middle])
        self.assertRefused(2, [leaf], trusted=[middle])
        self.assertRefused(21, [leaf], trusted=[leaf])

    def test_depth(self) -> None:
        """
        No more of them than C{*_ssl_verify_depth}.
        """
        first = authority("First", self.root)
        second = authority("Second", first)
        leaf = issue(issuer=second)
        self.assertRefused(20, [leaf, second, first])
        self.assertAccepted([leaf, second, first], depth=2)
        self.assertRefused(20, [issue(issuer=first), first], depth=0)

    def test_expired(self) -> None:
        """
        Certificates out of their time, anywhere in the chain.
        """
        self.assertRefused(10, [issue(issuer=self.root, since=-9, until=-1)])
        old = authority("Old", self.root, since=-9, until=-1)
        self.assertRefused(10, [issue(issuer=old), old])
        self.root = authority(since=-9, until=-1)
        self.assertRefused(10, [issue(issuer=self.root)])

    def test_notYetValid(self) -> None:
        """
        Before its time.
        """
        self.assertRefused(9, [issue(issuer=self.root, since=1)])

    def test_wrongPurpose(self) -> None:
        """
        A client's certificate is no server's.
        """
        self.assertRefused(26, [issue(issuer=self.root, usages=[CLIENT])])
        self.assertAccepted([issue(issuer=self.root, usages=[SERVER, CLIENT])])

    def test_noAuthority(self) -> None:
        """
        Who may not sign has not signed.
        """
        for said in ({"authority": False}, {"authority": None}):
            middle = authority("Middle", self.root, **said)
            self.assertRefused(26, [issue(issuer=middle), middle])
        middle = authority("Middle", self.root, keyUsage=["digital_signature"])
        self.assertRefused(32, [issue(issuer=middle), middle])

    def test_pathLength(self) -> None:
        """
        An authority that may make no authorities.
        """
        first = authority("First", self.root, pathLength=0)
        second = authority("Second", first)
        leaf = issue(issuer=second)
        self.assertRefused(25, [leaf, second, first], depth=3)

    def test_nameConstraints(self) -> None:
        """
        An authority for other names.
        """
        other, good = x509.DNSName("other.example"), x509.DNSName("good.example")
        for constraint, number in (
            (x509.NameConstraints([other], None), 47),
            (x509.NameConstraints(None, [good]), 48),
        ):
            middle = authority("Middle", self.root, more=[(constraint, True)])
            self.assertRefused(number, [issue(issuer=middle), middle])

    def test_criticalExtension(self) -> None:
        """
        What nobody understands must be understood.
        """
        unknown = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"
        )
        self.assertRefused(34, [issue(issuer=self.root, more=[(unknown, True)])])
        self.assertAccepted([issue(issuer=self.root, more=[(unknown, False)])])

    def test_signature(self) -> None:
        """
        Signed by somebody else in the authority's name.
        """
        other = ec.generate_private_key(ec.SECP256R1())
        self.assertRefused(
            7, [issue(issuer=self.root, signer=other, identifiers=False)]
        )

    def test_weakKey(self) -> None:
        """
        A key that is too short.
        """
        key = rsa.generate_private_key(65537, 1024)
        self.assertRefused(66, [issue(issuer=self.root, key=key)], seclevel=0)

    def test_otherKeys(self) -> None:
        """
        RSA is fine, and so are longer keys.
        """
        self.assertAccepted(
            [issue(issuer=self.root, key=rsa.generate_private_key(65537, 2048))]
        )
        self.root = authority(key=ec.generate_private_key(ec.SECP384R1()))
        self.assertAccepted([issue(issuer=self.root)])


class RevocationTests(TLSTestCase):
    """
    Lists of revoked certificates.
    """

    def test_revoked(self) -> None:
        """
        The server's, or an authority's.
        """
        leaf = issue(issuer=self.root)
        self.assertRefused(23, [leaf], crls=[self.root.revoke(leaf)])
        self.assertAccepted([issue(issuer=self.root)], crls=[self.root.revoke(leaf)])
        middle = authority("Middle", self.root)
        crls = [self.root.revoke(middle), middle.revoke()]
        self.assertRefused(23, [issue(issuer=middle), middle], crls=crls)

    def test_missing(self) -> None:
        """
        Every authority must have one.
        """
        other = authority("Other")
        self.assertRefused(3, [issue(issuer=self.root)], crls=[other.revoke()])
        middle = authority("Middle", self.root)
        chain = [issue(issuer=middle), middle]
        self.assertRefused(3, chain, crls=[self.root.revoke()])
        self.assertAccepted(chain, crls=[self.root.revoke(), middle.revoke()])

    def test_stale(self) -> None:
        """
        Lists out of their time, and those signed by somebody else.
        """
        leaf = issue(issuer=self.root)
        self.assertRefused(12, [leaf], crls=[self.root.revoke(since=-9, until=-1)])
        self.assertRefused(11, [leaf], crls=[self.root.revoke(since=1)])
        other = ec.generate_private_key(ec.SECP256R1())
        self.assertRefused(8, [leaf], crls=[self.root.revoke(key=other)])


class NameTests(TLSTestCase):
    """
    Names that are not those wanted.
    """

    def leaf(self, *alternatives: str, names: Sequence[str] = ("x",)) -> list[Issued]:
        """
        A certificate with these names.
        """
        return [issue(names, self.root, alternatives=alternatives)]

    def test_other(self) -> None:
        """
        Another name, also where the common name would fit.
        """
        self.assertRefused(None, self.leaf("bad.example"))
        self.assertRefused(None, self.leaf("bad.example", names=["good.example"]))

    def test_commonName(self) -> None:
        """
        It counts where there is no other, but not when names are strict.
        """
        leaf = self.leaf(names=["good.example"])
        self.assertAccepted(leaf)
        self.assertRefused(None, leaf, strict=True)
        leaf = self.leaf("127.0.0.1", names=["good.example"])
        self.assertAccepted(leaf)
        self.assertRefused(None, leaf, strict=True)

    def test_wildcard(self) -> None:
        """
        It stands for one label.
        """
        leaf = self.leaf("*.good.example")
        self.assertAccepted(leaf, name="a.good.example")
        self.assertAccepted(leaf, name="a.good.example", strict=True)
        self.assertRefused(None, leaf)
        self.assertRefused(None, leaf, name="a.b.good.example")
        self.assertRefused(None, leaf, name="a.b.good.example", strict=True)
        self.assertRefused(None, self.leaf("*.example"))
        self.assertRefused(None, self.leaf("*"), name="localhost")

    def test_partialWildcard(self) -> None:
        """
        Or for a part of one, but not when names are strict.
        """
        leaf = self.leaf("g*.very.example")
        self.assertAccepted(leaf, name="good.very.example")
        self.assertRefused(None, leaf, name="good.very.example", strict=True)
        self.assertRefused(None, leaf, name="bad.very.example")

    def test_address(self) -> None:
        """
        nginx compares addresses with names; who is strict compares them with
        addresses.
        """
        leaf = self.leaf("127.0.0.1")
        self.assertRefused(None, leaf, name="127.0.0.1")
        self.assertAccepted(leaf, name="127.0.0.1", strict=True)
        self.assertRefused(None, leaf, name="127.0.0.2", strict=True)
        byName = self.leaf(names=["127.0.0.1"])
        self.assertAccepted(byName, name="127.0.0.1")
        self.assertRefused(None, byName, name="127.0.0.1", strict=True)

    def test_empty(self) -> None:
        """
        Who has no name, and whom we call by none.
        """
        self.assertRefused(None, self.leaf(), name="good.example")
        self.assertRefused(None, self.leaf("good.example"), name="")
        self.assertRefused(None, self.leaf("good.example"), name="", strict=True)

    def test_nul(self) -> None:
        """
        A name with a NUL byte is nobody's.
        """
        der = b"good.example\0.bad"
        names = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("2.5.29.17"),
            bytes([0x30, len(der) + 2, 0x82, len(der)]) + der,
        )
        leaf = [issue("x", self.root, alternatives=(), more=[(names, False)])]
        self.assertRefused(None, leaf)
        self.assertRefused(None, leaf, strict=True)


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


class IdentityTests(TLSTestCase):
    """
    Who is the same, and who is not: connections are lent by this alone.
    """

    def test_same(self) -> None:
        """
        All that is the same gives the same object.
        """
        self.assertIs(self.identity(), self.identity())

    def test_differs(self) -> None:
        """
        Anything that differs gives another one.
        """
        key = crypto.PKey.from_cryptography_key(self.root.key)
        pair = KeyPair("c", (self.root.der,), "k", self.root.keyPem, key)
        kept = [
            self.identity(),
            self.identity("other.example"),
            self.identity(strict=True),
            self.identity(verify=False),
            self.identity(trusted=[authority("Other")]),
            self.identity(crls=[self.root.revoke()]),
            self.identity(depth=2),
            self.identity(protocols=("TLSv1.2",)),
            self.identity(pairs=(pair,)),
        ]
        first = kept[0]
        for other in (
            identityOf(b"other", first.context, b"", b"", None),
            identityOf(b"group", first.context, first.name, b"", first.check),
            identityOf(
                b"group",
                first.context,
                first.name,
                first.serverName,
                first.check,
                (b"h2",),
            ),
        ):
            kept.append(other)
        self.assertEqual(len(set(kept)), len(kept))


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
