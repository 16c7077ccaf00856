"""
Tests for L{twisted_upstream.dialects.fastcgi}.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    Server,
    Talk,
    configuration,
    get,
    message,
    post,
    upstream,
)
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from tests.wire.test_fastcgi import readAll
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.wire.fastcgi import (
    END_REQUEST,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    record,
)

END = record(STDOUT, b"") + record(END_REQUEST, bytes(8))


def fastcgi(more: str = "", *, http: str | None = None, keep: bool = False) -> str:
    """
    A configuration that passes everything to C{upstream u}.
    """
    if keep:
        more += " fastcgi_keep_conn on;"
    return configuration(
        f"location / {{ fastcgi_pass u; {more} }}", http or upstream("10.0.0.1:90")
    )


def readRequest(data: bytes) -> tuple[list[int], dict[bytes, bytes], bytes]:
    """
    What a server makes of the records it got.

    @return: the kinds of the records, the parameters, the body.
    """
    kinds: list[int] = []
    pairs = body = b""
    while data:
        kind, size = data[1], int.from_bytes(data[4:6], "big")
        content = data[8 : 8 + size]
        data = data[8 + size + data[6] :]
        kinds.append(kind)
        if kind == PARAMS:
            pairs += content
        elif kind == STDIN:
            body += content
    found: dict[bytes, bytes] = {}
    while pairs:
        lengths = []
        for _ in range(2):
            width = 4 if pairs[0] & 0x80 else 1
            lengths.append(int.from_bytes(pairs[:width], "big") & 0x7FFFFFFF)
            pairs = pairs[width:]
        name, value = lengths
        found[pairs[:name]] = pairs[name : name + value]
        pairs = pairs[name + value :]
    return kinds, found, body


def stdout(*parts: bytes) -> bytes:
    """
    Output in one record for each part.
    """
    return b"".join(record(STDOUT, part) for part in parts)


class ConfigurationTests(ConversationCase):
    """
    What is wrong is told when the configuration is read.
    """

    def refuses(self, text: str, expected: str) -> None:
        """
        C{text} is refused with a message that contains this.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        self.assertTrue(
            any(expected in each for each in messages(error)), messages(error)
        )

    def test_split(self) -> None:
        """
        fastcgi_split_path_info needs two groups.
        """
        self.refuses(
            fastcgi("fastcgi_split_path_info ^(.*)$;"),
            'pattern "^(.*)$" must have 2 captures',
        )

    def test_param(self) -> None:
        """
        A third word of fastcgi_param can only be if_not_empty.
        """
        self.refuses(fastcgi("fastcgi_param A b c;"), 'invalid parameter "c"')

    def test_conditions(self) -> None:
        """
        Conditions that FastCGI does not have are refused.
        """
        self.refuses(
            fastcgi("fastcgi_next_upstream http_502;"), 'invalid value "http_502"'
        )

    def test_port(self) -> None:
        """
        A server's address has a port.
        """
        self.refuses(
            configuration("location / { fastcgi_pass 10.0.0.1; }"),
            "no port in upstream",
        )


class RequestTests(ConversationCase):
    """
    What servers are sent.
    """

    def asked(
        self, text: str, request: bytes
    ) -> tuple[list[int], dict[bytes, bytes], bytes]:
        """
        What a server gets of C{request}.
        """
        talk = self.talk(text)
        client = talk.client()
        client.sends(request)
        server = talk.server()
        found = readRequest(server.raw())
        server.sends(stdout(b"\n") + END)
        client.hears(200)
        return found

    def test_params(self) -> None:
        """
        Parameters of the configuration and the client's fields.
        """
        kinds, params, body = self.asked(
            fastcgi(
                "fastcgi_param SCRIPT_FILENAME /s$fastcgi_script_name;"
                "fastcgi_param EMPTY $arg_no; fastcgi_param GONE $arg_no if_not_empty;"
                'fastcgi_param HTTP_X_HIDDEN ""; fastcgi_param HTTP_X_NEW new;'
            ),
            get(
                "/a.php?b",
                "X-Hidden: 1",
                "X-New: 2",
                "Accept: a",
                "accept: b",
                "Cookie: c=1",
                "Cookie: d=2",
            ),
        )
        self.assertEqual(kinds, [1, PARAMS, PARAMS, STDIN])
        self.assertEqual(body, b"")
        self.assertEqual(
            params,
            {
                b"SCRIPT_FILENAME": b"/s/a.php",
                b"EMPTY": b"",
                b"HTTP_X_NEW": b"new",
                b"HTTP_HOST": b"example.com",
                b"HTTP_ACCEPT": b"a, b",
                b"HTTP_COOKIE": b"c=1; d=2",
            },
        )

    def test_noFields(self) -> None:
        """
        fastcgi_pass_request_headers off leaves the client's fields out.
        """
        _, params, _ = self.asked(
            fastcgi("fastcgi_param A b; fastcgi_pass_request_headers off;"), get()
        )
        self.assertEqual(params, {b"A": b"b"})

    def test_scriptName(self) -> None:
        """
        fastcgi_index completes a directory, fastcgi_split_path_info cuts the rest off.
        """
        more = (
            "fastcgi_index i.php; fastcgi_split_path_info ^(.+\\.php)(/.+)$;"
            "fastcgi_param S $fastcgi_script_name; fastcgi_param P $fastcgi_path_info;"
            "fastcgi_pass_request_headers off;"
        )
        for path, script, info in (
            ("/", b"/i.php", b""),
            ("/a/", b"/a/i.php", b""),
            ("/a.php/b/c", b"/a.php", b"/b/c"),
            ("/a.php", b"/a.php", b""),
        ):
            _, params, _ = self.asked(fastcgi(more), get(path))
            self.assertEqual(params, {b"S": script, b"P": info}, path)

    def test_body(self) -> None:
        """
        A body goes in records, and is ended by an empty one.
        """
        kinds, _, body = self.asked(fastcgi(), post(b"x" * 9000))
        self.assertEqual(kinds, [1, PARAMS, PARAMS, STDIN, STDIN])
        self.assertEqual(body, b"x" * 9000)

    def test_bodyOfFile(self) -> None:
        """
        So does a body that was held in a file, piece by piece.
        """
        whole = bytes(range(256)) * 1000
        kinds, _, body = self.asked(fastcgi("client_body_buffer_size 1k;"), post(whole))
        self.assertEqual(body, whole)
        self.assertGreater(kinds.count(STDIN), 5)

    def test_slowServer(self) -> None:
        """
        Of a body in a file no more is read than the server takes.
        """
        whole = b"0123456789" * 50000
        talk = self.talk(fastcgi("client_body_buffer_size 1k;"))
        talk.dialer.room = 1000
        client = talk.client()
        client.sends(post(whole))
        server = talk.server()
        pending = server.dialed.protocol.transport.pending
        self.assertLess(pending, 150000)
        server.takes()
        _, _, body = readRequest(server.raw())
        self.assertEqual(body, whole)
        server.sends(stdout(b"\n") + END)
        client.hears(200)

    def test_noBody(self) -> None:
        """
        fastcgi_pass_request_body off leaves the body out.
        """
        kinds, _, body = self.asked(
            fastcgi("fastcgi_pass_request_body off;"), post(b"x")
        )
        self.assertEqual((kinds, body), ([1, PARAMS, PARAMS, STDIN], b""))

    def test_streamed(self) -> None:
        """
        Without buffering each piece of a body is a record at once, chunked or not.
        """
        talk = self.talk(fastcgi("fastcgi_request_buffering off;"))
        client = talk.client()
        client.sends(
            message("POST / HTTP/1.1", ("Host: a", "Transfer-Encoding: chunked"))
        )
        server = talk.server()
        self.assertEqual(readRequest(server.raw())[0], [1, PARAMS, PARAMS])
        client.sends(b"3\r\nabc\r\n")
        self.assertEqual(server.raw(), record(STDIN, b"abc"))
        client.sends(b"0\r\n\r\n")
        self.assertEqual(server.raw(), record(STDIN, b""))
        server.sends(stdout(b"\n") + END)
        client.hears(200)

    def test_tooBig(self) -> None:
        """
        Parameters that fit into no record are an error of ours; no server is asked.
        """
        talk = self.talk(
            fastcgi("fastcgi_param A $host$uri;" + "fastcgi_param B $args;" * 40)
        )
        client = talk.client()
        client.sends(get("/?" + "x" * 2000))
        client.hears(500)
        talk.noServer()
        talk.isLogged("fastcgi request record is too big: ")


class ResponseTests(ConversationCase):
    """
    What clients get.
    """

    def conversation(self, text: str, request: bytes = get()) -> tuple[Talk, Server]:
        """
        A request that a server has got.
        """
        self.speaking = self.talk(text)
        self.client = self.speaking.client()
        self.client.sends(request)
        server = self.speaking.server()
        server.raw()
        return self.speaking, server

    def test_everySplit(self) -> None:
        """
        A response is the same wherever its bytes are cut, records and head included.
        """
        data = (
            record(STDERR, b"hm.\n")
            + stdout(b"Status: 404 N", b"o\r\nX: 1\r\n", b"\r", b"\nhello", b", world")
            + END
        )
        for at in range(1, len(data)):
            _, server = self.conversation(fastcgi(keep=True))
            server.sends(data[:at])
            server.sends(data[at:])
            heard = self.client.hears(404, b"hello, world")
            self.assertEqual(heard.first, "HTTP/1.1 404 No")
            self.assertEqual((heard["X"], heard["Status"]), ("1", None))
            server.isOpen()
            self.speaking.isLogged('FastCGI sent in stderr: "h')

    def test_byteByByte(self) -> None:
        """
        Nor does it matter that each byte comes alone.
        """
        _, server = self.conversation(fastcgi())
        for byte in stdout(b"Content-Length: 5\r\n\r\nhel", b"lo") + END:
            server.sends(bytes([byte]))
        heard = self.client.hears(200, b"hello")
        self.assertEqual(heard["Content-Length"], "5")
        server.isClosed()

    def test_redirect(self) -> None:
        """
        A Location without a Status is a redirection.
        """
        _, server = self.conversation(fastcgi())
        server.sends(stdout(b"Location: /b\r\n\r\n") + END)
        self.assertEqual(self.client.hears(302, b"")["Location"], "/b")

    def test_dateAndServer(self) -> None:
        """
        Date and Server are the server's, where it sends them.
        """
        _, server = self.conversation(fastcgi())
        server.sends(stdout(b"Date: then\r\nServer: php\r\n\r\n") + END)
        heard = self.client.hears(200)
        self.assertEqual((heard["Date"], heard["Server"]), ("then", "php"))

    def test_untilClose(self) -> None:
        """
        Without fastcgi_keep_conn the connection's end ends the response, too.
        """
        _, server = self.conversation(fastcgi())
        server.sends(stdout(b"\r\nhello"))
        server.hangsUp()
        self.client.hears(200, b"hello")

    def test_keepUntilClose(self) -> None:
        """
        With it, the response was cut.
        """
        _, server = self.conversation(fastcgi(keep=True))
        server.sends(stdout(b"\r\nhello"))
        server.hangsUp()
        self.client.hearsPart(200, b"hello")

    def test_reuse(self) -> None:
        """
        With fastcgi_keep_conn the connection serves the next request.
        """
        talk, server = self.conversation(fastcgi(keep=True))
        server.sends(stdout(b"\r\nhello") + END)
        self.client.hears(200, b"hello")
        self.client.sends(get())
        self.assertEqual(readRequest(server.raw())[0][0], 1)
        server.sends(stdout(b"\r\nagain") + END)
        self.client.hears(200, b"again")
        talk.noServer()

    def test_moreAfterEnd(self) -> None:
        """
        A connection on which something follows the end is not used again.
        """
        _, server = self.conversation(fastcgi(keep=True))
        server.sends(stdout(b"\r\nhello") + END + b"x")
        self.client.hears(200, b"hello")
        server.isClosed()

    def test_head(self) -> None:
        """
        The body of an answer to HEAD is not waited for.
        """
        _, server = self.conversation(
            fastcgi(), message("HEAD / HTTP/1.1", ("Host: a",))
        )
        server.sends(stdout(b"Content-Length: 9\r\n\r\n"))
        heard = self.client.hears(200, headOnly=True)
        self.assertEqual(heard["Content-Length"], "9")
        server.isClosed()

    def test_tooMuch(self) -> None:
        """
        What goes beyond Content-Length is dropped.
        """
        talk, server = self.conversation(fastcgi(keep=True))
        server.sends(stdout(b"Content-Length: 2\r\n\r\nhello") + END)
        self.client.hears(200, b"he")
        talk.isLogged('upstream sent more data than specified in "Content-Length"')
        server.isClosed()

    def test_tooLittle(self) -> None:
        """
        A response that ends before its length is cut for the client, too.
        """
        for end, what in (
            (record(STDOUT, b""), "stdout"),
            (record(END_REQUEST, bytes(8)), "request"),
        ):
            talk, server = self.conversation(fastcgi())
            server.sends(stdout(b"Content-Length: 9\r\n\r\nhello"))
            server.sends(end)
            self.client.hearsPart(200, b"hello")
            talk.isLogged(f"upstream prematurely closed FastCGI {what}")
            server.isClosed()

    def test_invalid(self) -> None:
        """
        Nonsense is answered with 502, and the connection closed.
        """
        for data, logged in (
            (b"HTTP/1.1 200 OK\r\n\r\n", "unsupported FastCGI protocol version: 72"),
            (record(END_REQUEST, bytes(8)), "unexpected FastCGI record: 3"),
            (stdout(b""), "prematurely closed FastCGI stdout"),
            (stdout(b"Status: x\r\n\r\n"), 'invalid status "x"'),
            (
                stdout(b"Status: 101 Go\r\n\r\n"),
                "switched protocols without being asked",
            ),
            (stdout(b"\x01: x\r\n\r\n"), "upstream sent invalid header"),
            (stdout(b"A: " + b"x" * 5000), "upstream sent too big header"),
        ):
            talk, server = self.conversation(fastcgi())
            server.sends(data)
            self.client.hears(502)
            talk.isLogged(logged)
            server.isClosed()

    def test_invalidInBody(self) -> None:
        """
        Nonsense after the head cuts the response.
        """
        talk, server = self.conversation(fastcgi())
        server.sends(stdout(b"\r\nhello"))
        server.sends(b"\0" * 8)
        self.client.hearsPart(200, b"hello")
        talk.isLogged("unsupported FastCGI protocol version: 0")

    def test_nextServer(self) -> None:
        """
        The next server gets the request from its beginning.
        """
        http = upstream("10.0.0.1:90", "10.0.0.2:90")
        talk = self.talk(
            fastcgi("fastcgi_next_upstream error invalid_header;", http=http)
        )
        client = talk.client()
        client.sends(post(b"body", method="PUT"))
        first = talk.server()
        asked = first.raw()
        first.sends(stdout(b"X: 1\r\n") + b"\2")
        second = talk.server()
        self.assertEqual(second.raw(), asked)
        second.sends(stdout(b"Y: 1\r\n\r\n") + END)
        heard = client.hears(200, b"")
        self.assertEqual((heard["X"], heard["Y"]), (None, "1"))

    def test_stderrAtLength(self) -> None:
        """
        A server may complain at length before it answers, and beside its output.
        """
        talk, server = self.conversation(fastcgi())
        for _ in range(20):
            server.sends(record(STDERR, b"PHP notice " * 90))
        server.sends(
            stdout(b"\r\nhel") + record(STDERR, b"again\n") + stdout(b"lo") + END
        )
        self.client.hears(200, b"hello")
        talk.isLogged('FastCGI sent in stderr: "again"')

    def test_catchStderr(self) -> None:
        """
        fastcgi_catch_stderr makes a complaint a failure.
        """
        _, server = self.conversation(fastcgi('fastcgi_catch_stderr "PHP Fatal";'))
        server.sends(record(STDERR, b"PHP Fatal error: x") + stdout(b"\r\nhi") + END)
        self.client.hears(502)

    def test_variables(self) -> None:
        """
        Of a request that FastCGI did not serve, the script's name is the URI.
        """
        talk = self.talk(
            configuration(
                'location / { return 200 "[$fastcgi_script_name][$fastcgi_path_info]"; }'
            )
        )
        client = talk.client()
        client.sends(get("/x"))
        client.hears(200, b"[/x][]")

    def test_address(self) -> None:
        """
        fastcgi_pass may have variables.
        """
        talk = self.talk(configuration("location / { fastcgi_pass $arg_to; }"))
        client = talk.client()
        client.sends(get("/?to=10.0.0.9:91"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.9:91")
        server.raw()
        server.sends(stdout(b"\n") + END)
        client.hears(200)

    def test_records(self) -> None:
        """
        What these tests call a response is one.
        """
        self.assertEqual(
            readAll(stdout(b"a") + END, 100),
            [(STDOUT, b"a"), (STDOUT, b""), (END_REQUEST, bytes(8))],
        )
