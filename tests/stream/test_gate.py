"""
Tests of L{twisted_upstream.stream.gate}: clients on pairs of sockets, servers in
memory, time on a clock.
"""

from __future__ import annotations

from pathlib import Path

from OpenSSL import SSL

from tests.support.stream import MemoryStream, StreamCase
from tests.support.tls import (
    CLIENT,
    SocketReactor,
    TLSClient,
    socketPair,
    writeFiles,
)
from tests.wire.test_client_hello import openSSLHello
from twisted_upstream.testing.memory import MemoryReactor

TLS = """
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/root.crt;
    ssl_handshake_timeout 5s;
    server {{ listen 8443 ssl {listen}; {server} proxy_pass 10.0.0.1:80; }}
    {more}
"""
PREREAD = """
    preread_timeout 5s;
    preread_buffer_size 2k;
    map $ssl_preread_server_name $to {
        good.example 10.0.0.1:80;
        default 10.0.0.2:80;
    }
    server { listen 8443; ssl_preread on; proxy_pass $to; }
"""


class GateStream(MemoryStream):
    """
    A C{stream} block whose clients come on pairs of sockets.
    """

    def makeReactor(self) -> MemoryReactor:
        """
        Turns and time.
        """
        return SocketReactor()

    def shutDown(self) -> list[str]:
        """
        Let everybody hang up.

        @return: what is left over then.
        """
        found = super().shutDown()
        found += [f"{each} is watched" for each in self.reactor.getReaders()]
        return found + [f"{each} is watched" for each in self.reactor.getWriters()]


class GateCase(StreamCase):
    """
    A test case of sessions that begin with a look at what the client says.
    """

    def tls(
        self, text: str = TLS, *, server: str = "", listen: str = "", more: str = ""
    ) -> GateStream:
        """
        Begin; after the test nothing may be left over.
        """
        folder = Path(self.mktemp()).resolve()
        writeFiles(folder)
        if text is TLS:
            said = {"folder": folder, "listen": listen}
            text = TLS.format(
                **said, server=server, more=more.format(**said) if more else ""
            )
        self.memory = self.begin(GateStream, text)
        return self.memory

    def connect(self, early: bytes = b"", **said: object) -> TLSClient:
        """
        A client connects.

        @param early: what it has sent before it is accepted.
        """
        memory = self.memory
        ours, theirs = socketPair()
        self.ours = ours
        self.addCleanup(ours.close)
        client = TLSClient(theirs, memory.reactor.settle, **said)  # type: ignore[arg-type]
        self.addCleanup(client.closes)
        if early:
            theirs.send(early)
        memory.build.sockets[0].address.tls.accept(
            ours,
            ("192.0.2.1", 50000),
            memory.factories[0],
            memory.reactor,
            ("127.0.0.1", 8443),
        )
        memory.reactor.settle()
        return client

    def isGone(self, client: TLSClient, status: int) -> None:
        """
        The session is over, and logged with this status.
        """
        self.assertTrue(client.isClosed())
        self.assertEqual(self.memory.sessions, [])
        self.assertEqual(self.ours.fileno(), -1)
        self.assertEqual(self.memory.deadlines.active(), [])
        self.assertEqual(self.accessLog()[-1].split()[0], str(status))

    def isLogged(self, text: str) -> None:
        """
        The error log has a line with C{text}.
        """
        log = "\n".join(self.memory.log.lines)
        self.assertTrue(self.memory.log.has(text), f"{text!r} is not in:\n{log}")


class HandshakeTests(GateCase):
    """
    C{listen ... ssl}.
    """

    def test_session(self) -> None:
        """
        In either version bytes go both ways after the handshake, and the end too.
        """
        memory = self.tls()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            client = self.connect(version=version)
            client.shakesHands()
            server = memory.server()
            client.says(b"ping")
            self.assertEqual(bytes(server.incoming or server.outgoing), b"ping")
            memory.says(server, b"pong")
            self.assertEqual(client.hears(), b"pong")
            memory.ends(server)
            client.hears()
            self.assertTrue(client.ended)
            client.closes()
            memory.reactor.settle()
            self.assertEqual(memory.sessions, [])

    def test_timedOut(self) -> None:
        """
        A handshake that is not over in time ends the session, without a word.
        """
        memory = self.tls()
        for count in (0, 100, 10000):
            client = self.connect()
            client.sends(client.step()[:count])
            memory.reactor.passes(4.9)
            self.assertFalse(client.isClosed(), count)
            memory.reactor.passes(0.2)
            self.isGone(client, 500)
        self.assertFalse(memory.log.has("timed out"))

    def test_noTimeOutAfter(self) -> None:
        """
        Its time does not go on after the handshake.
        """
        memory = self.tls()
        client = self.connect()
        client.shakesHands()
        memory.reactor.passes(60)
        self.assertFalse(client.isClosed())

    def test_garbage(self) -> None:
        """
        Who speaks no TLS, plain HTTP for example, gets an alert.
        """
        self.tls()
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\0\5hello"):
            client = self.connect(data)
            self.assertIn(client.raw()[:1], (b"\x15", b""))
            self.isGone(client, 500)
            self.isLogged("SSL_do_handshake() failed (SSL: ")
            self.memory.log.lines.clear()

    def test_closed(self) -> None:
        """
        A client that goes while shaking hands leaves nothing behind.
        """
        memory = self.tls()
        for count, words in (
            (0, "client closed connection"),
            (100, "peer closed connection in SSL handshake"),
            (10000, "peer closed connection in SSL handshake"),
        ):
            client = self.connect()
            client.sends(client.step()[:count])
            client.closes()
            memory.reactor.passes(0.1)
            self.assertEqual(memory.sessions, [])
            self.assertEqual(memory.deadlines.active(), [])
            self.isLogged(f"{words} ")
            memory.log.lines.clear()

    def test_rejected(self) -> None:
        """
        C{ssl_reject_handshake}: an alert, and nothing more.
        """
        self.tls(server="ssl_reject_handshake on;")
        client = self.connect()
        client.sends(client.step())
        client.step()
        self.assertIn("unrecognized name", client.error)
        self.isGone(client, 500)
        self.isLogged("handshake rejected")

    def test_noCertificate(self) -> None:
        """
        A certificate that a variable names in vain ends the session.
        """
        self.tls(
            server="ssl_certificate $file; ssl_certificate_key $file;",
            more="map $ssl_server_name $file {{ default /nowhere; }}",
        )
        client = self.connect()
        client.sends(client.step())
        self.isGone(client, 500)
        self.isLogged('cannot load certificate "/nowhere"')

    def test_verified(self) -> None:
        """
        Where a certificate is asked for, only who has one is passed on.
        """
        memory = self.tls(server="ssl_verify_client on;")
        client = self.connect()
        client.shakesHands()
        self.isGone(client, 500)
        self.isLogged("client sent no required SSL certificate")
        client = self.connect(certificate=CLIENT)
        client.shakesHands()
        client.says(b"ping")
        memory.server()

    def test_serverName(self) -> None:
        """
        The name in the hello decides about server and certificate.
        """
        memory = self.tls(
            more="""
            server {{
                listen 8443 ssl;
                server_name other.example;
                ssl_certificate {folder}/other.crt;
                ssl_certificate_key {folder}/other.key;
                proxy_pass 10.0.0.2:80;
            }}
            """
        )
        for name, address in (
            (b"other.example", "10.0.0.2:80"),
            (b"OTHER.example", "10.0.0.2:80"),
            (b"unknown.example", "10.0.0.1:80"),
            (b"", "10.0.0.1:80"),
        ):
            client = self.connect(name=name)
            client.shakesHands()
            self.assertEqual(memory.dialer.asked[-1], address)
            peer = client.ssl.get_peer_certificate()
            assert peer is not None
            expected = "other" if address == "10.0.0.2:80" else "good"
            self.assertEqual(peer.get_subject().CN, f"{expected}.example")

    def test_stopped(self) -> None:
        """
        A session may be ended while it shakes hands.
        """
        memory = self.tls()
        for count in (0, 100, 10000):
            client = self.connect()
            client.sends(client.step()[:count])
            (session,) = memory.sessions
            session.abort()
            memory.reactor.passes(1)
            client.raw()
            self.isGone(client, 200)


class ProxyHeaderTests(GateCase):
    """
    C{proxy_protocol} before TLS.
    """

    HEADER = b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\n"

    def test_header(self) -> None:
        """
        The hello may come with the header, or later, and the header in pieces.
        """
        memory = self.tls(listen="proxy_protocol")
        for isTogether in (False, True):
            client = self.connect()
            hello = client.step()
            client.sends(self.HEADER[:10])
            client.sends(self.HEADER[10:] + (hello if isTogether else b""))
            memory.reactor.passes(0.1)
            if not isTogether:
                client.sends(hello)
            client.shakesHands()
            client.says(b"ping")
            memory.server()

    def test_broken(self) -> None:
        """
        Something else is an error, and so is an end.
        """
        memory = self.tls(listen="proxy_protocol")
        client = self.connect()
        client.sends(b"GET / HTTP/1.1\r\n\r\n")
        self.isGone(client, 200)
        self.isLogged('broken header: "GET / HTTP/1.1')
        client = self.connect(self.HEADER[:9])
        client.closes()
        memory.reactor.passes(0.1)
        self.assertEqual(memory.sessions, [])
        self.isLogged("client closed connection")

    def test_timedOut(self) -> None:
        """
        Half a header is not waited for for ever.
        """
        memory = self.tls(listen="proxy_protocol")
        client = self.connect(self.HEADER[:9])
        memory.reactor.passes(30.1)
        self.isGone(client, 200)
        self.isLogged("client timed out")


class PrereadTests(GateCase):
    """
    C{ssl_preread on}.
    """

    def test_name(self) -> None:
        """
        The name decides about the server, which gets all that was said, however it
        was cut.
        """
        memory = self.tls(PREREAD)
        for name, address in (
            (b"good.example", "10.0.0.1:80"),
            (b"other.example", "10.0.0.2:80"),
        ):
            hello = openSSLHello(name)
            for cut in (10, 600, len(hello)):
                client = self.connect(hello[:cut])
                if cut < len(hello):
                    client.sends(hello[cut:])
                    memory.reactor.passes(0.1)
                self.assertEqual(memory.dialer.asked[-1], address)
                server = memory.server()
                self.assertEqual(bytes(server.outgoing), hello)

    def test_otherProtocol(self) -> None:
        """
        Something else is passed on as it is.
        """
        memory = self.tls(PREREAD)
        self.connect(b"SSH-2.0-x\r\n")
        self.assertEqual(memory.dialer.asked, ["10.0.0.2:80"])
        self.assertEqual(bytes(memory.server().outgoing), b"SSH-2.0-x\r\n")

    def test_timedOut(self) -> None:
        """
        A hello that does not come, or not all of it, ends the session.
        """
        memory = self.tls(PREREAD)
        for early in (b"", openSSLHello()[:100]):
            client = self.connect(early)
            memory.reactor.passes(4.9)
            self.assertFalse(client.isClosed())
            memory.reactor.passes(0.2)
            self.isGone(client, 200)

    def test_full(self) -> None:
        """
        A hello that does not fit the buffer ends the session.
        """
        self.tls(PREREAD)
        client = self.connect(b"\x16\x03\x01\x40\0\1\0\x3f\xfc" + bytes(3000))
        self.isGone(client, 400)
        self.isLogged("preread buffer full")

    def test_closed(self) -> None:
        """
        A client that goes before ends the session.
        """
        memory = self.tls(PREREAD)
        for early in (b"", openSSLHello()[:100]):
            client = self.connect(early)
            client.closes()
            memory.reactor.passes(0.1)
            self.assertEqual(memory.sessions, [])
            self.assertEqual(memory.deadlines.active(), [])
            self.assertEqual(self.ours.fileno(), -1)
