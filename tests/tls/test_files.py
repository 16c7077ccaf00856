"""
Tests of L{twisted_upstream.tls.files}, L{twisted_upstream.tls.server} and
L{twisted_upstream.tls.commands}: what C{-t} says of certificates and keys.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.process.launch import environment
from tests.support.certificates import authority, issue
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.tls.commands import CommandError, Commands


class ConfigurationTests(SynchronousTestCase):
    """
    Files of a configuration.
    """

    def setUp(self) -> None:
        """
        A folder with a certificate and its key.
        """
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.root = authority()
        self.issued = issue("a.example", self.root)
        self.put("c.crt", self.issued.pem)
        self.put("c.key", self.issued.keyPem)

    def put(self, name: str, data: bytes) -> None:
        """
        Write a file.
        """
        (self.folder / name).write_bytes(data)

    def build(self, *lines: str) -> MemoryHTTP:
        """
        A server with these lines, each on one of its own from the second on.
        """
        text = "http { server { listen 81 ssl;\n" + "\n".join(lines) + "\n} }"
        return MemoryHTTP(text, str(self.folder))

    def assertRefused(self, *lines: str, says: str, line: int = 2) -> None:
        """
        The lines are refused: why, and where.
        """
        error = self.assertRaises(ConfigError, self.build, *lines)
        self.assertEqual(len(error.problems), 1, error)
        problem = error.problems[0]
        self.assertIn(says, problem.message)
        self.assertEqual((problem.path, problem.line), ("nginx.conf", line))

    def pair(self, certificate: str = "c.crt", key: str = "c.key") -> tuple[str, str]:
        """
        Both directives.
        """
        return f"ssl_certificate {certificate};", f"ssl_certificate_key {key};"

    def test_good(self) -> None:
        """
        A certificate with its key, from files and from the configuration.
        """
        self.build(*self.pair())
        certificate = self.issued.pem.decode()
        key = self.issued.keyPem.decode()
        self.build(
            f'ssl_certificate "data:{certificate}";',
            f'ssl_certificate_key "data:{key}";',
        )
        self.build(*self.pair(key="store:file:c.key"))

    def test_missing(self) -> None:
        """
        Files that are not there are named.
        """
        self.assertRefused(
            *self.pair("no.crt"),
            says=f'cannot load certificate "{self.folder}/no.crt": BIO_new_file()',
        )
        self.assertRefused(
            *self.pair(key="no.key"),
            says=f'cannot load certificate key "{self.folder}/no.key":',
        )
        for directive in ("ssl_trusted_certificate", "ssl_client_certificate"):
            self.assertRefused(
                *self.pair(),
                "ssl_verify_client optional_no_ca;",
                f"{directive} no.crt;",
                says="cannot load certificate",
                line=5,
            )
        self.assertRefused(*self.pair(), "ssl_crl no;", says="cannot load CRL", line=4)
        self.assertRefused(
            *self.pair(), "ssl_password_file no;", says="open() ", line=4
        )

    def test_broken(self) -> None:
        """
        Files that are something else.
        """
        self.put("bad", b"nonsense")
        self.assertRefused(
            *self.pair("bad"), says="PEM_read_bio_X509_AUX() failed (SSL: error:"
        )
        self.assertRefused(
            *self.pair(key="bad"), says="PEM_read_bio_PrivateKey() failed (SSL:"
        )
        self.assertRefused(
            *self.pair(), "ssl_crl bad;", says="PEM_read_bio_X509_CRL()", line=4
        )
        self.put("half", self.issued.pem[:200] + b"\n-----END CERTIFICATE-----\n")
        self.assertRefused(*self.pair("half"), says="PEM_read_bio_X509_AUX() failed")
        chain = self.issued.pem + self.issued.pem.replace(b"M", b"!")
        self.put("chain", chain)
        self.assertRefused(*self.pair("chain"), says="PEM_read_bio_X509() failed")

    def test_key(self) -> None:
        """
        A key that is missing, or another's.
        """
        self.assertRefused(
            "ssl_certificate c.crt;",
            says='no "ssl_certificate_key" is defined for certificate "c.crt"',
        )
        self.put("other.key", issue("b.example").keyPem)
        self.assertRefused(
            *self.pair(key="other.key"),
            says=f'SSL_CTX_use_PrivateKey("{self.folder}/other.key") failed (SSL:'
            " error:05800074:x509 certificate routines::key values mismatch)",
            line=3,
        )

    def test_phrases(self) -> None:
        """
        An encrypted key needs one of the pass phrases.
        """
        self.put("c.key", self.issued.encryptedKey(b"secret"))
        self.assertRefused(*self.pair(), says="PEM_read_bio_PrivateKey() failed")
        self.put("phrases", b"wrong\r\n\nsecret")
        self.build(*self.pair(), "ssl_password_file phrases;")
        self.put("phrases", b"wrong\n")
        self.assertRefused(
            *self.pair(),
            "ssl_password_file phrases;",
            says="PEM_read_bio_PrivateKey() failed",
        )
        self.put("phrases", b"x" * 5000)
        self.assertRefused(
            *self.pair(), "ssl_password_file phrases;", says="too long line", line=4
        )

    def test_settings(self) -> None:
        """
        What OpenSSL refuses is told with its line.
        """
        for line, says in (
            ("ssl_ciphers nope;", 'SSL_CTX_set_cipher_list("nope") failed'),
            ("ssl_ecdh_curve nope;", 'SSL_CTX_set1_curves_list("nope") failed'),
            ("ssl_conf_command Foo bar;", 'SSL_CONF_cmd("Foo", "bar") failed'),
            ("ssl_protocols TLSv9;", 'invalid value "TLSv9"'),
            ("ssl_session_cache shared:a:1;", "is too small"),
            ("ssl_session_cache foo;", 'invalid session cache "foo"'),
            ("ssl_certificate_cache inactive=1s;", 'must have the "max" parameter'),
            ("ssl_verify_client on;", "no ssl_client_certificate or ssl_trusted"),
            ("ssl_session_ticket_key c.key;", "must be 48 or 80 bytes"),
            ("ssl_ocsp_cache foo;", 'invalid OCSP cache "foo"'),
        ):
            self.assertRefused(*self.pair(), line, says=says, line=4)

    def test_staple(self) -> None:
        """
        A response of the authority comes from a file, or there is none.
        """
        from tests.tls.test_ocsp import answer

        self.put("staple", answer(self.issued, self.root))
        self.build(*self.pair(), "ssl_stapling on;", "ssl_stapling_file staple;")
        self.build(*self.pair(), "ssl_stapling on;")
        for name, says in (("no", "BIO_new_file"), ("c.crt", "d2i_OCSP_RESPONSE")):
            self.assertRefused(
                *self.pair(),
                "ssl_stapling on;",
                f"ssl_stapling_file {name};",
                says=says,
                line=5,
            )

    def test_none(self) -> None:
        """
        A server that cannot answer a handshake.
        """
        self.assertRefused(
            says='no "ssl_certificate" is defined for the "listen ... ssl" directive in'
            " nginx.conf:1",
            line=1,
        )
        self.build("ssl_reject_handshake on;")


class CommandTests(SynchronousTestCase):
    """
    L{Commands}.
    """

    def test_options(self) -> None:
        """
        Names set bits, or clear them; the last one counts.
        """
        commands = Commands([("Options", "-SessionTicket,ServerPreference")])
        self.assertEqual(commands.options(), (0x404000, 0))
        commands = Commands(
            [("options", "-SessionTicket"), ("OPTIONS", "SessionTicket")]
        )
        self.assertEqual(commands.options(), (0, 0x4000))

    def test_protocols(self) -> None:
        """
        Limits, and lists.
        """
        given = ("TLSv1.2", "TLSv1.3")
        for command, expected in (
            (("MinProtocol", "TLSv1.3"), ("TLSv1.3",)),
            (("MaxProtocol", "TLSv1.2"), ("TLSv1.2",)),
            (("Protocol", "-TLSv1.3,TLSv1.1"), ("TLSv1.1", "TLSv1.2")),
        ):
            self.assertEqual(Commands([command]).protocols(given), expected)

    def test_wrong(self) -> None:
        """
        Unknown commands and values.
        """
        for command in (
            ("Foo", "bar"),
            ("Options", "Foo"),
            ("MinProtocol", "TLSv9"),
            ("Protocol", "foo"),
        ):
            self.assertRaises(CommandError, Commands, [command])


class ImportTests(SynchronousTestCase):
    """
    OpenSSL costs memory and time.
    """

    def test_notWithoutTLS(self) -> None:
        """
        It is not imported where nothing needs it.
        """
        script = (
            "import sys\n"
            "from tests.support.memory import MemoryHTTP\n"
            "MemoryHTTP('http { access_log off; server { listen 81;"
            " location / {"
            " proxy_pass http://127.0.0.1:82; } location /x {"
            " proxy_pass http://$arg_x; } } }', sys.argv[1])\n"
            "print('OpenSSL.SSL' in sys.modules, 'cryptography' in sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, self.mktemp()],
            capture_output=True,
            text=True,
            env=environment(),
        )
        self.assertEqual(done.stdout, "False False\n", done.stderr)
