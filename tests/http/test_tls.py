"""
Tests of L{twisted_upstream.http.tls}: clients on pairs of sockets, time on a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import Issued
from tests.support.tls import (
    CLIENT,
    SocketReactor,
    TLSClient,
    socketPair,
    writeFiles,
)
from twisted_upstream.http.tls import AddressTLS
from twisted_upstream.testing.block import MemoryHTTP

GET = b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n"
TEXT = """
events {{}}
http {{
    access_log off;
    client_header_timeout 5s;
    keepalive_timeout 7s;
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    {http}
    server {{
        listen 127.0.0.1:8443 ssl {listen};
        server_name good.example;
        {server}
        return 200 "$ssl_protocol $proxy_protocol_addr";
    }}
}}
"""


class HTTPSCase(SynchronousTestCase):
    """
    One C{http} block with an address for TLS.
    """

    def begin(self, *, server: str = "", listen: str = "", http: str = "") -> None:
        """
        Build it; after the test nothing may be left over.
        """
        folder = Path(self.mktemp()).resolve()
        writeFiles(folder)
        text = TEXT.format(folder=folder, server=server, listen=listen, http=http)
        self.http = MemoryHTTP(text, str(folder), makeReactor=SocketReactor)
        self.reactor = self.http.reactor
        self.factory = self.http.factories[0]
        self.log = self.http.log
        self.sockets: list[Any] = []
        self.clients: list[TLSClient] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        """
        Close everything.
        """
        for client in self.clients:
            client.closes()
        self.assertEqual(self.http.shutDown(), [])
        self.assertEqual(self.factory.clients, set())
        self.assertEqual([each.fileno() for each in self.sockets if each], [])
        self.assertEqual(self.reactor.getReaders() + self.reactor.getWriters(), [])

    def connect(self, early: bytes = b"", **said: Any) -> TLSClient:
        """
        A client connects.

        @param early: what it has sent before it is accepted.
        """
        ours, theirs = socketPair()
        self.sockets.append(_Open(ours))
        client = TLSClient(theirs, self.reactor.settle, **said)
        self.clients.append(client)
        if early:
            theirs.send(early)
        tls: AddressTLS = self.factory.address.tls
        tls.accept(
            ours,
            ("192.0.2.1", 50000),
            self.factory,
            self.reactor,
            ("127.0.0.1", 8443),
        )
        return client

    def isLogged(self, text: str) -> None:
        """
        The error log has a line with C{text}.
        """
        log = "\n".join(self.log.lines)
        self.assertTrue(self.log.has(text), f"{text!r} is not in the log:\n{log}")

    def isGone(self, client: TLSClient) -> None:
        """
        The connection is closed, and forgotten.
        """
        self.assertTrue(client.isClosed())
        self.assertEqual(self.factory.clients, set())
        self.assertEqual(self.http.deadlines.active(), [])


class _Open:
    """
    A socket that should be closed in the end.
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.fileno = sock.fileno

    def __bool__(self) -> bool:
        return bool(self._socket.fileno() >= 0)


class HandshakeTests(HTTPSCase):
    """
    From a connection to its first request.
    """

    def test_request(self) -> None:
        """
        In either version requests are answered, and the end is clean.
        """
        self.begin()
        for version, name in (
            (SSL.TLS1_2_VERSION, b"TLSv1.2"),
            (SSL.TLS1_3_VERSION, b"TLSv1.3"),
        ):
            client = self.connect(version=version)
            client.shakesHands()
            client.says(GET)
            client.says(GET)
            self.assertEqual(client.hears().count(b"\r\n\r\n" + name), 2)
            self.reactor.passes(7.1)
            client.hears()
            self.assertTrue(client.ended)
            self.isGone(client)

    def test_requestAtOnce(self) -> None:
        """
        A request that comes with the end of the handshake needs no event of its own.
        """
        self.begin()
        client = self.connect()
        client.sends(client.step())
        last = client.step()
        client.ssl.send(GET)
        client.socket.sendall(last + client.ssl.bio_read(65536))
        (accept,) = self.reactor.getReaders()
        accept.doRead()
        self.assertIn(b"TLSv1.3", client.hears())

    def test_timedOut(self) -> None:
        """
        A handshake that is not over in time ends the connection: whether nothing has
        come, or a part of the hello, or all of it.
        """
        self.begin()
        for count in (0, 100, 10000):
            client = self.connect()
            client.sends(client.step()[:count])
            self.reactor.passes(4.9)
            self.assertFalse(client.isClosed(), count)
            self.reactor.passes(0.2)
            self.isGone(client)
            self.isLogged(
                "client timed out (110: Connection timed out) while SSL handshaking,"
                " client: 192.0.2.1, server: 127.0.0.1:8443"
            )
            self.log.lines.clear()

    def test_requestTimedOut(self) -> None:
        """
        After the handshake the time for the first request goes on.
        """
        self.begin()
        client = self.connect()
        self.reactor.passes(3)
        client.shakesHands()
        self.reactor.passes(1.9)
        self.assertFalse(client.isClosed())
        self.reactor.passes(5)
        self.isGone(client)

    def test_garbage(self) -> None:
        """
        What is no hello, and what is no handshake after one, ends the connection.
        """
        self.begin()
        client = self.connect(b"\x16\x03\x01\x00\x05hello")
        self.assertEqual(client.raw()[:1], b"\x15")
        self.isGone(client)
        self.isLogged("SSL_do_handshake() failed (SSL: ")
        self.log.lines.clear()
        client = self.connect()
        client.sends(client.step())
        client.sends(b"\x16\x03\x03\x00\x05hello")
        client.raw()
        self.isGone(client)
        self.isLogged("SSL_do_handshake() failed (SSL: ")

    def test_plain(self) -> None:
        """
        A request without TLS is told so, and needs no second event.
        """
        self.begin()
        client = self.connect(GET)
        answer = client.raw()
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
        self.assertIn(b"The plain HTTP request was sent to HTTPS port", answer)
        self.isGone(client)
        self.isLogged("client sent plain HTTP request to HTTPS port")

    def test_rejected(self) -> None:
        """
        C{ssl_reject_handshake}: an alert, and nothing more.
        """
        self.begin(server="ssl_reject_handshake on;")
        client = self.connect()
        client.sends(client.step())
        client.step()
        self.assertIn("unrecognized name", client.error)
        self.isGone(client)
        self.isLogged("handshake rejected while SSL handshaking")

    def test_closed(self) -> None:
        """
        A client that goes while shaking hands leaves nothing behind.
        """
        self.begin()
        for count, words in (
            (0, "client closed connection"),
            (100, "peer closed connection in SSL handshake"),
            (10000, "peer closed connection in SSL handshake"),
        ):
            client = self.connect()
            client.sends(client.step()[:count])
            client.closes()
            self.reactor.passes(0.1)
            self.assertEqual(self.factory.clients, set())
            self.assertEqual(self.http.deadlines.active(), [])
            self.isLogged(f"{words} ")
            self.log.lines.clear()

    def test_noCertificate(self) -> None:
        """
        A certificate that a variable names in vain ends the connection.
        """
        self.begin(
            http="map $ssl_server_name $file { default /nowhere; }",
            server="ssl_certificate $file; ssl_certificate_key $file;",
        )
        client = self.connect()
        client.sends(client.step())
        self.isGone(client)
        self.isLogged('cannot load certificate "/nowhere"')

    def test_turns(self) -> None:
        """
        Of many hellos that come together only some are answered at once, and the
        others soon.
        """
        self.begin()
        clients = []
        for _ in range(8):
            client = self.connect()
            client.socket.send(client.step())
            clients.append(client)
        for reader in self.reactor.getReaders():
            reader.doRead()
        answered = [each for each in clients if _hasMore(each)]
        self.assertEqual(len(answered), 3)
        self.reactor.settle()
        self.assertTrue(all(map(_hasMore, clients)))


def _hasMore(client: TLSClient) -> bool:
    try:
        return bool(client.socket.recv(1, 2))
    except BlockingIOError:
        return False


class ProxyHeaderTests(HTTPSCase):
    """
    C{proxy_protocol} before TLS.
    """

    HEADER = b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\n"

    def test_header(self) -> None:
        """
        The hello may come with the header, or later.
        """
        self.begin(listen="proxy_protocol")
        for isTogether in (False, True):
            client = self.connect()
            hello = client.step()
            if isTogether:
                client.sends(self.HEADER + hello)
            else:
                client.sends(self.HEADER)
                client.sends(hello)
            client.shakesHands()
            client.says(GET)
            self.assertIn(b"TLSv1.3 192.0.2.9", client.hears())

    def test_broken(self) -> None:
        """
        Something else is an error.
        """
        self.begin(listen="proxy_protocol")
        client = self.connect()
        client.sends(GET)
        self.isGone(client)
        self.isLogged('broken header: "GET / HTTP/1.1')

    def test_timedOut(self) -> None:
        """
        Half a header is not waited for any longer than a hello.
        """
        self.begin(listen="proxy_protocol")
        client = self.connect(self.HEADER[:9])
        self.reactor.passes(5.1)
        self.isGone(client)
        self.isLogged("client timed out")


class EndTests(HTTPSCase):
    """
    The server ends while clients shake hands.
    """

    def ends(self, end: Callable[[], None]) -> None:
        """
        C{end} closes clients at every stage.
        """
        self.begin()
        clients = [self.connect() for _ in range(3)]
        clients[1].sends(clients[1].step()[:100])
        clients[2].sends(clients[2].step())
        end()
        self.reactor.settle()
        for client in clients:
            client.raw()
            self.isGone(client)

    def test_drain(self) -> None:
        """
        Draining does not wait for handshakes.
        """
        emptied: list[bool] = []
        self.ends(lambda: self.factory.drain(lambda: emptied.append(True)))
        self.assertEqual(emptied, [True])

    def test_stop(self) -> None:
        """
        Nor does stopping.
        """
        self.ends(lambda: self.factory.stop())

    def test_drainIdle(self) -> None:
        """
        Who has shaken hands and asked nothing is told the end.
        """
        self.begin()
        client = self.connect()
        client.shakesHands()
        emptied: list[bool] = []
        self.factory.drain(lambda: emptied.append(True))
        client.hears()
        self.assertTrue(client.ended)
        self.isGone(client)
        self.assertEqual(emptied, [True])


SERVERS = """
    server {{
        listen 127.0.0.1:8443 ssl;
        server_name other.example;
        ssl_certificate {folder}/other.crt;
        ssl_certificate_key {folder}/other.key;
        ssl_client_certificate {folder}/root.crt;
        ssl_verify_client on;
        return 200 "other $ssl_client_s_dn";
    }}
"""


class ServerNameTests(HTTPSCase):
    """
    Several servers on one address.
    """

    def ask(
        self, name: bytes, host: bytes, certificate: Issued | None = None
    ) -> tuple[bytes, bytes, str]:
        """
        Shake hands with C{name} and ask C{host}.

        @return: status line, body, and whom the certificate belongs to.
        """
        client = self.connect(name=name, certificate=certificate)
        client.shakesHands()
        client.says(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
        head, _, body = client.hears().partition(b"\r\n\r\n")
        peer = client.ssl.get_peer_certificate()
        assert peer is not None
        return head.partition(b"\r\n")[0], body, str(peer.get_subject().CN)

    def begin(self, **said: Any) -> None:
        """
        With another server, that asks for certificates.
        """
        folder = Path(self.mktemp()).resolve()
        writeFiles(folder)
        super().begin(http=SERVERS.format(folder=folder), **said)

    def test_name(self) -> None:
        """
        The name in the hello decides about the certificate; where there is none or an
        unknown one, the first server answers.
        """
        self.begin()
        names = {
            b"other.example": "other.example",
            b"OTHER.example": "other.example",
            b"good.example": "good.example",
        }
        for name, expected in names.items():
            _, _, found = self.ask(name, b"x", CLIENT)
            self.assertEqual(found, expected)
        for name in (b"", b"unknown.example"):
            self.assertEqual(self.ask(name, b"x", CLIENT)[2], "other.example")

    def test_verified(self) -> None:
        """
        Only who has a certificate may ask the server that wants one.
        """
        self.begin()
        found = self.ask(b"other.example", b"other.example", CLIENT)
        self.assertEqual(found[:2], (b"HTTP/1.1 200 OK", b"other CN=somebody"))
        found = self.ask(b"other.example", b"other.example")
        self.assertEqual(found[0], b"HTTP/1.1 400 Bad Request")
        self.isLogged("client sent no required SSL certificate while reading")

    def test_other(self) -> None:
        """
        Nor may one ask for it on a connection to another one.
        """
        self.begin()
        found = self.ask(b"good.example", b"other.example", CLIENT)
        self.assertEqual(found[0], b"HTTP/1.1 421 Misdirected Request")
        self.isLogged("client attempted to request the server name different")
