"""
TLS with other people's programs: curl, OpenSSL's own client and server, and nginx on
either side.
"""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import Issued, authority, issue
from tests.support.nginx import (
    RunningServer,
    findNginx,
    freePort,
    oursCommand,
)

VERSIONS = ("TLSv1.2", "TLSv1.3")

FRONT = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
http {{
    access_log off;
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name good.example;
        ssl_client_certificate {folder}/root.crt;
        ssl_verify_client optional;
        root {folder};
        location / {{
            set $who "$ssl_client_verify $ssl_client_s_dn";
            return 200 "$ssl_protocol $ssl_session_reused $ssl_server_name $who";
        }}
        location /file {{ }}
        location /echo {{
            client_max_body_size 10m;
            proxy_pass http://127.0.0.1:{plain}/sink;
        }}
    }}
    server {{
        listen 127.0.0.1:{plain};
        location /sink {{
            client_max_body_size 10m;
            proxy_pass http://127.0.0.1:{plain}/done;
        }}
        location /done {{ return 200 "$content_length"; }}
    }}
}}
"""

BACK = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
http {{
    access_log off;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {folder}/root.crt;
    proxy_ssl_name good.example;
    proxy_ssl_server_name on;
    proxy_set_header Connection close;
    server {{
        listen 127.0.0.1:{plain};
        location / {{ proxy_pass https://127.0.0.1:{tls}; }}
        location /TLSv1.2/ {{
            proxy_ssl_protocols TLSv1.2;
            proxy_pass https://127.0.0.1:{tls}/;
        }}
        location /named/ {{
            proxy_ssl_certificate {folder}/client.crt;
            proxy_ssl_certificate_key {folder}/client.key;
            proxy_pass https://127.0.0.1:{tls}/;
        }}
        location /other/ {{
            proxy_ssl_name other.example;
            proxy_pass https://127.0.0.1:{tls}/;
        }}
    }}
}}
"""


def need(program: str) -> str:
    """
    The path of a program.

    @raise SkipTest: it is not installed.
    """
    found = findNginx() if program == "nginx" else shutil.which(program)
    if found is None:
        from twisted.trial.unittest import SkipTest

        raise SkipTest(f"{program} is not installed")
    return found


class PeerCase(SynchronousTestCase):
    """
    Certificates in a folder, and processes that are stopped in the end.
    """

    def setUp(self) -> None:
        """
        A server's and a client's certificate of one authority.
        """
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        root = authority()
        self.write("server", issue("good.example", root))
        self.write("client", issue("somebody", root))
        self.write("root", root)
        self.tls, self.plain = freePort(), freePort()

    def write(self, name: str, issued: Issued) -> None:
        """
        Put a certificate and its key into the folder.
        """
        (self.folder / f"{name}.crt").write_bytes(issued.pem)
        (self.folder / f"{name}.key").write_bytes(issued.keyPem)

    def start(self, command: list[str], text: str) -> RunningServer:
        """
        Start a server with a configuration.
        """
        prefix = Path(self.mktemp()).resolve()
        prefix.mkdir()
        running = RunningServer(
            command,
            prefix,
            text.format(folder=self.folder, tls=self.tls, plain=self.plain),
        )
        self.addCleanup(running.stop)
        return running

    def output(self, words: list[str], data: bytes = b"") -> str:
        """
        What a program prints.
        """
        done = subprocess.run(words, input=data, capture_output=True, timeout=30)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def curl(self, path: str, *words: str) -> str:
        """
        What curl gets over TLS; the server must prove who it is.
        """
        return self.output(
            [
                need("curl"),
                "--silent",
                "--show-error",
                "--cacert",
                f"{self.folder}/root.crt",
                "--resolve",
                f"good.example:{self.tls}:127.0.0.1",
                f"https://good.example:{self.tls}{path}",
                *words,
            ]
        )

    def get(self, path: str) -> str:
        """
        What curl gets without TLS.
        """
        url = f"http://127.0.0.1:{self.plain}{path}"
        return self.output([need("curl"), "--silent", "--show-error", url])


class FrontTests(PeerCase):
    """
    Other people's clients.
    """

    def test_curl(self) -> None:
        """
        curl: both versions, a client's certificate, large files and bodies.
        """
        self.start(oursCommand(), FRONT)
        for version in VERSIONS:
            number = version.removeprefix("TLSv")
            found = self.curl("/", f"--tlsv{number}", "--tls-max", number)
            self.assertEqual(found, f"{version} . good.example NONE ")
        named = ["--cert", f"{self.folder}/client.crt"]
        named += ["--key", f"{self.folder}/client.key"]
        found = self.curl("/", *named)
        self.assertEqual(found, "TLSv1.3 . good.example SUCCESS CN=somebody")
        content = "0123456789" * 100_000
        (self.folder / "file").write_text(content)
        self.assertEqual(self.curl("/file"), content)
        found = self.curl("/echo", "--data-binary", f"@{self.folder}/file")
        self.assertEqual(found, "1000000")

    def test_openSSL(self) -> None:
        """
        OpenSSL's client: new and resumed sessions of both versions.
        """
        self.start(oursCommand(), FRONT)
        request = b"GET / HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n"
        for version in VERSIONS:
            words = [need("openssl"), "s_client", "-quiet", "-ign_eof"]
            words += ["-connect", f"127.0.0.1:{self.tls}"]
            words += ["-servername", "good.example", "-CAfile"]
            words += [f"{self.folder}/root.crt", "-verify_return_error"]
            words += ["-tls1_2" if version == "TLSv1.2" else "-tls1_3"]
            session = f"{self.folder}/{version}"
            found = self.output([*words, "-sess_out", session], request)
            self.assertIn(f"{version} . good.example", found)
            found = self.output([*words, "-sess_in", session], request)
            self.assertIn(f"{version} r good.example", found)

    def test_nginx(self) -> None:
        """
        nginx as client: new and resumed.
        """
        self.start(oursCommand(), FRONT.replace("{plain}", str(freePort())))
        self.start([need("nginx")], BACK)
        for path, version in (("/", "TLSv1.3"), ("/TLSv1.2/", "TLSv1.2")):
            self.assertEqual(self.get(path), f"{version} . good.example NONE ")
            self.assertEqual(self.get(path), f"{version} r good.example NONE ")
        self.assertIn("SUCCESS CN=somebody", self.get("/named/"))

    def test_plain(self) -> None:
        """
        Who speaks no TLS is told, and is no danger to others.
        """
        self.start(oursCommand(), FRONT)
        url = f"http://127.0.0.1:{self.tls}/"
        found = self.output([need("curl"), "--silent", "-i", url])
        self.assertIn("HTTP/1.1 400 Bad Request", found)
        self.assertIn("The plain HTTP request was sent to HTTPS port", found)


class BackTests(PeerCase):
    """
    Other people's servers.
    """

    def test_nginx(self) -> None:
        """
        nginx as server: new and resumed, with our certificate, and not if it is
        somebody else.
        """
        front = FRONT.replace("{plain}", str(freePort()))
        self.start([need("nginx")], front)
        ours = self.start(oursCommand(), BACK)
        for path, version in (("/", "TLSv1.3"), ("/TLSv1.2/", "TLSv1.2")):
            self.assertEqual(self.get(path), f"{version} . good.example NONE ")
            self.assertEqual(self.get(path), f"{version} r good.example NONE ")
        self.assertIn("SUCCESS CN=somebody", self.get("/named/"))
        self.assertIn("502 Bad Gateway", self.get("/other/"))
        log = (ours.prefix / "error.log").read_text()
        self.assertIn(
            'upstream SSL certificate does not match "other.example" while SSL'
            " handshaking to upstream",
            log,
        )

    def test_openSSL(self) -> None:
        """
        OpenSSL's server, in both versions.
        """
        for version, option in (("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")):
            self.tls, self.plain = freePort(), freePort()
            with subprocess.Popen(
                [
                    need("openssl"),
                    "s_server",
                    "-accept",
                    f"127.0.0.1:{self.tls}",
                    "-cert",
                    f"{self.folder}/server.crt",
                    "-key",
                    f"{self.folder}/server.key",
                    "-www",
                    option,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as server:
                try:
                    self.start(oursCommand(), BACK)
                    found = self.get("/")
                    for _ in range(50):
                        if "502" not in found:
                            break
                        time.sleep(0.05)
                        found = self.get("/")
                finally:
                    server.kill()
            match = re.search(r"Protocol *: *(\S+)", found)
            self.assertTrue(match and match[1] == version, found[:500])

    def test_bothOurs(self) -> None:
        """
        Ours on both sides.
        """
        self.start(oursCommand(), FRONT.replace("{plain}", str(freePort())))
        self.start(oursCommand(), BACK)
        for path, version in (("/", "TLSv1.3"), ("/TLSv1.2/", "TLSv1.2")):
            self.assertEqual(self.get(path), f"{version} . good.example NONE ")
            self.assertEqual(self.get(path), f"{version} r good.example NONE ")


LIMITS = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
http {{
    access_log off;
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    server {{
        listen 127.0.0.1:{tls} ssl;
        large_client_header_buffers 2 1k;
        return 200 "default $http_a_b";
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name good.example;
        client_header_buffer_size 512;
        large_client_header_buffers 2 8k;
        underscores_in_headers on;
        return 200 "good $http_a_b";
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name few.example;
        max_headers 3;
        return 200 "few $http_a_b";
    }}
}}
"""


class LimitTests(PeerCase):
    """
    Limits of requests' heads.
    """

    def ask(self, serverName: str | None, request: bytes) -> bytes:
        """
        What a client gets that names C{serverName} in its hello.
        """
        context = ssl.create_default_context(cafile=f"{self.folder}/root.crt")
        context.check_hostname = False
        # From Python 3.13 on it would ask more of certificates than tests need.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with socket.create_connection(("127.0.0.1", self.tls), 10) as plain:
            with context.wrap_socket(plain, server_hostname=serverName) as client:
                client.sendall(request)
                answer = b""
                while True:
                    try:
                        data = client.recv(65536)
                    except OSError:
                        break
                    if not data:
                        break
                    answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        return head.partition(b"\r\n")[0] + b" " + body.partition(b"\r\n")[0]

    def asked(self, command: list[str]) -> list[bytes]:
        """
        The answers of a server to every question.
        """
        self.tls = freePort()
        server = self.start(command, LIMITS)
        answers = []
        for name in (None, "unknown.example", "good.example", "few.example"):
            for fields in (
                b"A_b: x\r\n",
                b"A: %b\r\n" % (b"x" * 500),
                b"A: %b\r\n" % (b"x" * 3000),
                b"A: %b\r\n" % (b"x" * 9000),
                b"A: %b\r\n" % (b"x" * 7000) * 3,
                b"A: x\r\n" * 5,
            ):
                host = (name or "good.example").encode()
                answers.append(
                    self.ask(
                        name,
                        b"GET / HTTP/1.1\r\n%bHost: %b\r\nConnection: close\r\n\r\n"
                        % (fields, host),
                    )
                )
            answers.append(self.ask(name, b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * 3000)))
        server.stop()
        return answers

    def test_serverName(self) -> None:
        """
        Those of the server that the hello names count, as in nginx.
        """
        expected = self.asked([need("nginx")])
        self.assertIn(b"HTTP/1.1 200 OK good x", expected)
        self.assertIn(b"HTTP/1.1 200 OK few ", expected)
        self.assertEqual(self.asked(oursCommand()), expected)


LENDING = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
http {{
    access_log off;
    upstream group {{ server 127.0.0.1:{tls}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/server.crt;
        ssl_certificate_key {folder}/server.key;
        return 200 "$connection $connection_requests $ssl_session_reused";
    }}
    server {{
        listen 127.0.0.1:{plain};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location /lax/ {{ proxy_pass https://group; }}
        location /same/ {{ proxy_pass https://group; }}
        location /stranger/ {{
            proxy_pass https://group;
            proxy_ssl_verify on;
            proxy_ssl_name good.example;
            proxy_ssl_trusted_certificate {folder}/client.crt;
        }}
        location /named/ {{
            proxy_pass https://group;
            proxy_ssl_server_name on;
            proxy_ssl_name good.example;
        }}
    }}
}}
"""


class LendingTests(PeerCase):
    """
    Idle connections, and sessions, of a group.
    """

    def test_lending(self) -> None:
        """
        They serve other locations that want the same, and nobody else.
        """
        self.start(oursCommand(), LENDING)
        number, requests, reused = self.get("/lax/").split()
        self.assertEqual((requests, reused), ("1", "."))
        self.assertEqual(self.get("/same/"), f"{number} 2 .")
        self.assertIn("502 Bad Gateway", self.get("/stranger/"))
        other, requests, reused = self.get("/named/").split()
        self.assertNotEqual(other, number)
        self.assertEqual((requests, reused), ("1", "."))
        self.assertEqual(self.get("/lax/"), f"{number} 3 .")


COMPARED = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
http {{
    access_log off;
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/root.crt;
    add_header X-Verify "$ssl_client_verify $ssl_client_serial" always;
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name good.example;
        return 200 "$ssl_server_name $https $scheme $ssl_client_fingerprint";
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name on.example;
        ssl_verify_client on;
        location / {{ return 200 "$ssl_client_s_dn|$ssl_client_i_dn"; }}
        location /escaped {{ return 200 $ssl_client_escaped_cert; }}
        location /raw {{ return 200 $ssl_client_raw_cert; }}
        location /until {{ return 200 "$ssl_client_v_start $ssl_client_v_end"; }}
        location /days {{ return 200 "$ssl_client_v_remain"; }}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name any.example;
        ssl_verify_client optional_no_ca;
        error_page 495 496 497 /page;
        location / {{ return 200 any; }}
        location /page {{ return 200 "page $ssl_client_verify"; }}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name never.example;
        ssl_reject_handshake on;
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name old.example;
        ssl_protocols TLSv1.2;
        return 200 "$ssl_protocol $ssl_cipher";
    }}
    server {{
        listen 127.0.0.1:{plain} ssl;
        error_page 497 =301 https://good.example$request_uri;
        return 200 ok;
    }}
}}
"""


class SameAnswersTests(PeerCase):
    """
    What curl gets of nginx and of ours.
    """

    def setUp(self) -> None:
        """
        More certificates: of a stranger, and out of date.
        """
        super().setUp()
        root = authority()
        self.write("stranger", issue("stranger", authority("Other")))
        self.write("root", root)
        self.write("server", issue("good.example", root))
        self.write("client", issue(["somebody", 'odd, "name"'], root, until=30.5))
        self.write("late", issue("late", root, since=-9, until=-1))

    def ask(self, name: str, host: str, path: str, *words: str) -> str:
        """
        What curl gets.

        @param name: for SNI.
        @param host: of the request.
        """
        return self.output(
            [
                *(need("curl"), "--silent", "--show-error", "--insecure", "--include"),
                *("--connect-to", f"{name}:443:127.0.0.1:{self.tls}"),
                *("--header", f"Host: {host}", f"https://{name}{path}", *words),
            ]
        )

    def answers(self, command: list[str]) -> list[str]:
        """
        What a program answers to all kinds of clients.
        """
        self.tls, self.plain = freePort(), freePort()
        running = self.start(command, COMPARED)
        found = []

        def identity(name: str) -> list[str]:
            if not name:
                return []
            return [
                *("--cert", f"{self.folder}/{name}.crt"),
                *("--key", f"{self.folder}/{name}.key"),
            ]

        for server in ("good", "on", "any", "unknown"):
            for client in ("", "client", "stranger", "late"):
                name = f"{server}.example"
                found.append(self.ask(name, name, "/", *identity(client)))
        for name, host in (
            ("good.example", "on.example"),
            ("good.example", "any.example"),
            ("on.example", "good.example"),
            ("on.example", "unknown.example"),
            ("unknown.example", "on.example"),
            ("GOOD.example", "good.example"),
        ):
            found.append(self.ask(name, host, "/", *identity("client")))
        for path in ("/escaped", "/raw", "/until", "/days"):
            found.append(
                self.ask("on.example", "on.example", path, *identity("client"))
            )
        found.append(self.ask("old.example", "old.example", "/"))
        found.append(self.ask("old.example", "old.example", "/", "--tlsv1.3"))
        found.append(self.ask("never.example", "never.example", "/"))
        for port in (self.tls, self.plain):
            url = f"http://127.0.0.1:{port}/x"
            found.append(self.output([need("curl"), "--silent", "--include", url]))
        running.stop()
        return [
            re.sub(r"(Server|Date): .*|nginx/[\d.]+", "", each)
            .replace(str(self.tls), "PORT")
            .replace(str(self.plain), "PORT")
            for each in found
        ]

    def test_same(self) -> None:
        """
        The same, whatever certificate, name and version.
        """
        theirs = self.answers([need("nginx")])
        ours = self.answers(oursCommand())
        for expected, found in zip(theirs, ours, strict=True):
            self.assertEqual(found, expected)
        self.assertIn("421", "".join(theirs))
        self.assertIn("The SSL certificate error", "".join(theirs))


STREAM_FRONT = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
stream {{
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    server {{
        listen 127.0.0.1:{tls} ssl;
        ssl_alpn one two;
        return "$ssl_protocol $ssl_session_reused $ssl_server_name";
    }}
    map $ssl_preread_server_name:$ssl_preread_alpn_protocols $to {{
        ~good\\.example:.*two 127.0.0.1:{tls};
    }}
    server {{
        listen 127.0.0.1:{plain};
        ssl_preread on;
        proxy_pass $to;
    }}
}}
"""

STREAM_BACK = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{back};
        proxy_pass 127.0.0.1:{tls};
        proxy_ssl on;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {folder}/root.crt;
        proxy_ssl_name good.example;
        proxy_ssl_server_name on;
        proxy_ssl_alpn two;
    }}
    server {{
        listen 127.0.0.1:{bad};
        proxy_pass 127.0.0.1:{tls};
        proxy_ssl on;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {folder}/root.crt;
        proxy_ssl_name other.example;
    }}
}}
"""


class StreamTests(PeerCase):
    """
    Streams: ours and nginx on either side, OpenSSL's client in front.
    """

    def readAll(self, port: int) -> str:
        """
        What a server says before it closes.
        """
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            parts = []
            while data := connection.recv(4096):
                parts.append(data)
        return b"".join(parts).decode()

    def check(self, front: list[str], back: list[str]) -> None:
        """
        Through both of them.
        """
        self.start(front, STREAM_FRONT)
        ports = {"back": freePort(), "bad": freePort()}
        text = STREAM_BACK
        for name, port in ports.items():
            text = text.replace("{" + name + "}", str(port))
        self.start(back, text)
        self.assertEqual(self.readAll(ports["back"]), "TLSv1.3 . good.example")
        self.assertEqual(self.readAll(ports["back"]), "TLSv1.3 r good.example")
        self.assertEqual(self.readAll(ports["bad"]), "")

    def test_front(self) -> None:
        """
        Ours terminates what nginx sends.
        """
        self.check(oursCommand(), [need("nginx")])

    def test_back(self) -> None:
        """
        nginx terminates what ours sends.
        """
        self.check([need("nginx")], oursCommand())

    def test_both(self) -> None:
        """
        Ours on both sides.
        """
        self.check(oursCommand(), oursCommand())

    def test_preread(self) -> None:
        """
        A name and a protocol lead to a server; nothing is lost on the way.
        """
        self.start(oursCommand(), STREAM_FRONT)
        words = [need("openssl"), "s_client", "-quiet", "-ign_eof"]
        words += ["-connect", f"127.0.0.1:{self.plain}", "-servername"]
        for version, option in (("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")):
            found = self.output([*words, "good.example", "-alpn", "one,two", option])
            self.assertIn(f"{version} . good.example", found)
        found = self.output([*words, "other.example", "-alpn", "two"])
        self.assertNotIn(". other.example", found)

    def test_header(self) -> None:
        """
        nginx understands what a PROXY header of version 2 tells of a client's TLS.
        """
        back = freePort()
        self.start([need("nginx")], READER.replace("{back}", str(back)))
        self.start(oursCommand(), HEADER.replace("{back}", str(back)))
        words = [need("openssl"), "s_client", "-quiet", "-ign_eof"]
        words += ["-connect", f"127.0.0.1:{self.tls}"]
        named = ["-cert", f"{self.folder}/client.crt"]
        named += ["-key", f"{self.folder}/client.key"]
        cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
        own = "ecdsa-with-SHA256 EC256"
        for more, expected in (
            (
                ["-tls1_2", "-servername", "a.example", "-alpn", "one"],
                f"a.example one TLSv1.2 - {cipher} {own} 1",
            ),
            (
                ["-tls1_3", "-noservername", *named],
                f"- - TLSv1.3 somebody TLS_AES_256_GCM_SHA384 {own} 0",
            ),
        ):
            self.assertIn(f"<{expected}>", self.output([*words, *more]))


READER = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
stream {{
    map $proxy_protocol_tlv_authority $name {{ "" "-"; default $proxy_protocol_tlv_authority; }}
    map $proxy_protocol_tlv_alpn $alpn {{ "" "-"; default $proxy_protocol_tlv_alpn; }}
    map $proxy_protocol_tlv_ssl_cn $cn {{ "" "-"; default $proxy_protocol_tlv_ssl_cn; }}
    server {{
        listen 127.0.0.1:{back} proxy_protocol;
        set $own "$proxy_protocol_tlv_ssl_sig_alg $proxy_protocol_tlv_ssl_key_alg";
        set $all "$proxy_protocol_tlv_ssl_version $cn $proxy_protocol_tlv_ssl_cipher";
        return "<$name $alpn $all $own $proxy_protocol_tlv_ssl_verify>";
    }}
}}
"""

HEADER = """\
daemon off; pid nginx.pid; error_log error.log info; worker_processes 1;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/server.crt;
        ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/root.crt;
        ssl_verify_client optional;
        ssl_alpn one;
        proxy_pass 127.0.0.1:{back};
        proxy_protocol v2;
    }}
}}
"""
