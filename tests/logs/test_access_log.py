"""
Tests for L{twisted_upstream.logs.access_log}.
"""

from __future__ import annotations

import os
import socket
import tempfile

from tests.support.conversation import ConversationCase, configuration, get
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError

ECHO = "location / { return 200 hello; }"


class AccessLogTests(ConversationCase):
    """
    C{access_log} and C{log_format}.
    """

    def lines(self, http: str, *requests: bytes, server: str = ECHO) -> list[str]:
        """
        The log of some requests.
        """
        talk = self.talk(configuration(server, access=http))
        client = talk.client()
        for request in requests:
            client.sends(request)
        return talk.accessLog()

    def test_combined(self) -> None:
        """
        The default format.
        """
        [line] = self.lines(
            "access_log logs/access.log;",
            get("/x", "Referer: r", 'User-Agent: a"b'),
        )
        self.assertRegex(
            line,
            r"^192\.0\.2\.1 - - \[[^]]+\] \"GET /x HTTP/1\.1\" 200 5 \"r\" \"a\\x22b\"$",
        )

    def folder(self) -> str:
        """
        A folder whose name is short enough for sockets.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_syslog(self) -> None:
        """
        Lines go to syslog without line feeds; what it does not take is warned of.
        """
        path = os.path.join(self.folder(), "s")
        talk = self.talk(
            configuration(ECHO, access=f"access_log syslog:server=unix:{path};")
        )
        talk.client().sends(get())
        self.assertTrue(talk.log.has("warn] "))
        self.assertTrue(talk.log.has("send() to syslog failed, client: 192.0.2.1"))
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(path)
        receiver.setblocking(False)
        talk.client().sends(get("/x"))
        self.assertRegex(
            receiver.recv(999), rb'^<190>.* nginx: 192\.0\.2\.1 .*"GET /x .*"$'
        )

    def test_default(self) -> None:
        """
        Without the directive there is a log, too.
        """
        self.assertEqual(len(self.lines("", get())), 1)

    def test_formats(self) -> None:
        """
        Parts of a format are joined; escaping is the format's.
        """
        request = get("/", 'X-A: "\\')
        for escape, expected in (
            ("", "\\x22\\x5C|-"),
            ("escape=json", '\\"\\\\|'),
            ("escape=none", '"\\|'),
        ):
            self.assertEqual(
                self.lines(
                    f"log_format t {escape} '$http_x_a|' '$http_none';"
                    "access_log logs/access.log t;",
                    request,
                ),
                [expected],
            )

    def test_condition(self) -> None:
        """
        if= leaves requests out whose value is empty or 0.
        """
        self.assertEqual(
            self.lines(
                "log_format t '$uri'; access_log logs/access.log t if=$arg_log;",
                get("/a?log=1"),
                get("/b?log=0"),
                get("/c"),
                get("/d?log=yes"),
            ),
            ["/a", "/d"],
        )

    def test_refused(self) -> None:
        """
        A request that could not be read is logged, too.
        """
        [line] = self.lines("access_log logs/access.log;", b"nonsense\r\n\r\n")
        self.assertIn('"nonsense" 400 ', line)

    def test_buffered(self) -> None:
        """
        Lines wait for the buffer to fill, or for the time that was said.
        """
        log = "log_format t '$uri'; access_log logs/access.log t buffer=1k flush=5s;"
        talk = self.talk(configuration(ECHO, access=log))
        client = talk.client()
        client.sends(get("/a"))
        self.assertEqual(talk.accessLog(), [])
        talk.passes(5.1)
        self.assertEqual(talk.accessLog(), ["/a"])

    def test_variableName(self) -> None:
        """
        A file may be named per request.
        """
        log = "log_format t '$uri'; access_log logs/$arg_f.log t;"
        talk = self.talk(configuration(ECHO, access=log))
        os.makedirs(os.path.join(talk.prefix, "logs"), exist_ok=True)
        client = talk.client()
        client.sends(get("/a?f=x") + get("/b?f=y") + get("/c?f=x"))
        for name, expected in (("x", "/a\n/c\n"), ("y", "/b\n")):
            with open(os.path.join(talk.prefix, "logs", f"{name}.log")) as file:
                self.assertEqual(file.read(), expected)

    def test_wrong(self) -> None:
        """
        Unknown formats and duplicate ones are refused, and so are formats with unknown
        variables, also where nothing is written in them.
        """
        for http, expected in (
            ("log_format t $nosuch; log_format u a;", 'unknown "nosuch" variable'),
            ('log_format t "${uri";', 'closing bracket in "uri" variable is missing'),
            ("access_log logs/a t;", 'unknown log format "t"'),
            ("access_log syslog:tag=a;", "no syslog server specified"),
            (
                "access_log syslog:server=[::1] combined buffer=1k;",
                "logs to syslog cannot be buffered",
            ),
            ("log_format t a; log_format t b;", 'duplicate "log_format" name "t"'),
        ):
            error = self.assertRaises(
                ConfigError, MemoryHTTP, configuration(ECHO, access=http), self.mktemp()
            )
            self.assertIn(expected, "".join(messages(error)))
