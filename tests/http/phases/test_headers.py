"""
Tests for L{twisted_upstream.http.phases.headers}.
"""

from __future__ import annotations

from time import localtime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    messages,
    only,
    run,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.headers import (
    HeaderOptions,
    compileHeaders,
    compileTrailers,
    nextTime,
)
from twisted_upstream.wire.dates import formatDate, parseDate
from twisted_upstream.wire.head import ResponseHead

NOW = 1_000_000_000


def edited(
    text: str,
    status: int = 200,
    fields: bytes = b"",
    lastModified: bytes | None = None,
    target: bytes = b"/",
    path: tuple[int, ...] = (0,),
) -> ResponseHead:
    """
    The head that a response gets in a server with C{text}, or in a block within.
    """
    build = FakeBuild(now=NOW + 0.5)
    block = only(configure(f"server {{ {text} }}", HeaderOptions), *path)
    edit = compileHeaders(block, build)
    head = ResponseHead(status, fields)
    head.lastModified = lastModified
    if edit is not None:
        request = FakeRequest(target, build=build)
        request.responseHead = head
        run(edit, request, head)
    return head


class AddHeaderTests(SynchronousTestCase):
    """
    C{add_header} adds fields.
    """

    def test_adds(self) -> None:
        """
        In their order, after what is there.
        """
        head = edited("add_header A $uri; add_header B b;", fields=b"\r\nX: y")
        self.assertEqual(head.fields, b"\r\nX: y\r\nA: /\r\nB: b")

    def test_nothing(self) -> None:
        """
        Where there is nothing to add there is nothing to call.
        """
        self.assertIsNone(compileHeaders(configure("", HeaderOptions), FakeBuild()))
        block = configure("expires off;", HeaderOptions)
        self.assertIsNone(compileHeaders(block, FakeBuild()))

    def test_statuses(self) -> None:
        """
        Errors only get what is C{always}.
        """
        text = "add_header A a; add_header B b always;"
        for status in (200, 201, 204, 206, 301, 302, 303, 304, 307, 308):
            self.assertEqual(edited(text, status).fields, b"\r\nA: a\r\nB: b")
        for status in (202, 300, 400, 404, 502):
            self.assertEqual(edited(text, status).fields, b"\r\nB: b")

    def test_empty(self) -> None:
        """
        An empty value adds no field.
        """
        self.assertEqual(edited("add_header A $arg_a; add_header B '';").fields, b"")

    def test_repeated(self) -> None:
        """
        The same name may be added several times, and seen by later ones.
        """
        head = edited(
            "add_header Link a; add_header Cache-Control b; add_header Link c;"
            " add_header Sent $sent_http_link;",
            fields=b"\r\nCache-Control: x",
        )
        self.assertEqual(
            head.fields,
            b"\r\nCache-Control: x\r\nLink: a\r\nCache-Control: b\r\nLink: c"
            b"\r\nSent: a, c",
        )

    def test_etag(self) -> None:
        """
        ETag is replaced; an empty value takes it away.
        """
        fields = b'\r\nA: a\r\netag: "x"\r\nB: b'
        head = edited("add_header ETag foo;", fields=fields)
        self.assertEqual(head.fields, b"\r\nA: a\r\nETag: foo\r\nB: b")
        self.assertEqual(edited("add_header ETag foo;").fields, b"\r\nETag: foo")
        head = edited("add_header ETag '';", fields=fields)
        self.assertEqual(head.fields, b"\r\nA: a\r\nB: b")

    def test_lastModified(self) -> None:
        """
        Last-Modified is replaced, be it ours or the server's.
        """
        date = formatDate(NOW)
        head = edited("add_header Last-Modified foo;", lastModified=date)
        self.assertEqual(
            (head.lastModified, head.fields), (None, b"\r\nLast-Modified: foo")
        )
        head = edited("add_header Last-Modified '';", lastModified=date)
        self.assertEqual((head.lastModified, head.fields), (None, b""))
        head = edited("add_header Last-Modified foo;", fields=b"\r\nLast-Modified: x")
        self.assertEqual(head.fields, b"\r\nLast-Modified: foo")

    def test_inherits(self) -> None:
        """
        A block with lines of its own does not inherit.
        """
        text = "add_header A a; location / { %s }"
        for inner, expected in (
            ("", b"\r\nA: a"),
            ("add_header B b;", b"\r\nB: b"),
            ("add_header_inherit off;", b""),
            ("add_header_inherit merge;", b"\r\nA: a"),
            ("add_header_inherit merge; add_header B b;", b"\r\nB: b\r\nA: a"),
            ("add_header_inherit off; add_header B b;", b"\r\nB: b"),
        ):
            self.assertEqual(edited(text % inner, path=(0, 0)).fields, expected, inner)

    def test_inheritsMerging(self) -> None:
        """
        C{merge} said outside counts for all blocks within.
        """
        text = (
            "add_header A a; add_header_inherit merge;"
            " location / { add_header B b; location /x { add_header C c; } }"
        )
        self.assertEqual(
            edited(text, path=(0, 0, 0)).fields, b"\r\nC: c\r\nB: b\r\nA: a"
        )

    def test_invalid(self) -> None:
        """
        The third word is C{always}.
        """
        error = self.assertRaises(ConfigError, edited, "add_header A a never;")
        self.assertEqual(messages(error), ['invalid parameter "never"'])


class ExpiresTests(SynchronousTestCase):
    """
    C{expires} sets Expires and Cache-Control.
    """

    def expiry(self, text: str, **how: Any) -> tuple[bytes, bytes]:
        head = edited(f"expires {text};", **how)
        lines = dict(
            line.split(b": ", 1) for line in head.fields.split(b"\r\n") if line
        )
        return lines.get(b"Expires", b""), lines.get(b"Cache-Control", b"")

    def test_access(self) -> None:
        """
        So long from now, or so long ago.
        """
        for word, seconds in (("2048", 2048), ("+1h 30m", 5400), ("1y", 31536000)):
            self.assertEqual(
                self.expiry(f'"{word}"'),
                (formatDate(NOW + seconds), b"max-age=%d" % seconds),
            )
        self.assertEqual(self.expiry("-1h"), (formatDate(NOW - 3600), b"no-cache"))
        self.assertEqual(self.expiry("0"), (formatDate(NOW), b"max-age=0"))

    def test_constants(self) -> None:
        """
        C{epoch} and C{max} are fixed dates.
        """
        self.assertEqual(
            self.expiry("epoch"), (b"Thu, 01 Jan 1970 00:00:01 GMT", b"no-cache")
        )
        self.assertEqual(
            self.expiry("max"),
            (b"Thu, 31 Dec 2037 23:55:55 GMT", b"max-age=315360000"),
        )
        self.assertEqual(self.expiry("off"), (b"", b""))

    def test_modified(self) -> None:
        """
        C{modified} counts from the last change, ours or the server's.
        """
        changed = formatDate(NOW - 1000)
        expected = (formatDate(NOW + 1048), b"max-age=1048")
        self.assertEqual(self.expiry("modified 2048", lastModified=changed), expected)
        head = edited("expires modified 2048;", fields=b"\r\nLast-Modified: " + changed)
        self.assertIn(b"\r\nExpires: " + expected[0], head.fields)
        self.assertEqual(
            self.expiry("modified +100", lastModified=changed),
            (formatDate(NOW - 900), b"no-cache"),
        )
        # Unknown: from now.
        self.assertEqual(
            self.expiry("modified 2048"), (formatDate(NOW + 2048), b"max-age=2048")
        )

    def test_daily(self) -> None:
        """
        C{@} is a time of day, local time.
        """
        date, control = self.expiry("@15h30m33s")
        moment = parseDate(date)
        assert moment is not None
        self.assertEqual(localtime(moment)[3:6], (15, 30, 33))
        self.assertTrue(0 < moment - NOW <= 86400)
        self.assertEqual(control, b"max-age=%d" % (moment - NOW))

    def test_variable(self) -> None:
        """
        The value may depend on the request; what is no time is passed over.
        """
        self.assertEqual(self.expiry("$arg_e", target=b"/?e=60")[1], b"max-age=60")
        self.assertEqual(self.expiry("$arg_e", target=b"/?e=-60")[1], b"no-cache")
        self.assertEqual(
            self.expiry("$arg_e", target=b"/?e=max")[1], b"max-age=315360000"
        )
        for value in (b"", b"bad", b"off", b"5ms", b"9" * 30):
            self.assertEqual(self.expiry("$arg_e", target=b"/?e=" + value)[1], b"")
        self.assertEqual(self.expiry("modified $arg_e", target=b"/?e=epoch")[1], b"")
        self.assertEqual(
            self.expiry("modified $arg_e", target=b"/?e=60")[1], b"max-age=60"
        )

    def test_replaces(self) -> None:
        """
        What the server said is replaced, further Cache-Control lines are dropped.
        """
        head = edited(
            "expires epoch;",
            fields=b"\r\nCache-Control: a\r\nExpires: b\r\ncache-control: c\r\nX: x",
        )
        self.assertEqual(
            head.fields,
            b"\r\nCache-Control: no-cache\r\nExpires: Thu, 01 Jan 1970 00:00:01 GMT"
            b"\r\nX: x",
        )

    def test_statuses(self) -> None:
        """
        Errors have no expiry.
        """
        self.assertEqual(edited("expires max;", 404).fields, b"")

    def test_inherits(self) -> None:
        """
        Inner blocks inherit it; C{off} ends that.
        """
        text = "expires max; location /a { } location /b { expires off; }"
        self.assertIn(b"max-age", edited(text, path=(0, 0)).fields)
        self.assertEqual(edited(text, path=(0, 1)).fields, b"")

    def test_invalid(self) -> None:
        """
        A constant must say a time.
        """
        for words, message in (
            ("foo", '"expires" directive invalid value'),
            ("changed 1", '"expires" directive invalid value'),
            ("@25h", '"expires" directive daily time value must be less than 24 hours'),
            (
                "modified @1h",
                '"expires" directive daily time cannot be used with "modified"'
                " parameter",
            ),
            ("modified epoch", '"expires" directive invalid value'),
        ):
            error = self.assertRaises(ConfigError, edited, f"expires {words};")
            self.assertEqual(messages(error), [message])

    def test_nextTime(self) -> None:
        """
        A time of day that has passed is tomorrow's.
        """
        day = localtime(NOW)
        seconds = day.tm_hour * 3600 + day.tm_min * 60 + day.tm_sec
        self.assertEqual(nextTime(NOW, seconds + 1), NOW + 1)
        self.assertEqual(nextTime(NOW, seconds), NOW + 86400)


class TrailerTests(SynchronousTestCase):
    """
    C{add_trailer} adds fields after the body.
    """

    def test_adds(self) -> None:
        """
        Values are evaluated one after the other; empty ones are left out.
        """
        build = FakeBuild()
        block = configure(
            "add_trailer A $uri; add_trailer B $sent_trailer_a; add_trailer C '';"
            " add_trailer D $arg_d;",
            HeaderOptions,
        )
        trailers = compileTrailers(block, build)
        assert trailers is not None
        request = FakeRequest(b"/", build=build)
        request.status = 200
        request.trailers = b"\r\nZ: z"
        self.assertEqual(
            run(trailers, request),
            b"\r\nZ: z\r\nA: /\r\nB: /",
        )

    def test_statuses(self) -> None:
        """
        Errors only get what is C{always}, and need not be chunked for the others.
        """
        for text, expected in (
            ("add_trailer A a;", b""),
            ("add_trailer A a; add_trailer B b always;", b"\r\nB: b"),
        ):
            build = FakeBuild()
            trailers = compileTrailers(configure(text, HeaderOptions), build)
            assert trailers is not None
            request = FakeRequest(b"/", build=build)
            request.status = 404
            self.assertEqual(run(trailers, request), expected)
            self.assertEqual(trailers.expected(404), bool(expected))
            self.assertTrue(trailers.expected(200))

    def test_none(self) -> None:
        """
        C{add_header} adds no trailers, and merging is told apart.
        """
        block = only(
            configure(
                "add_header A a; add_trailer B b;"
                " server { add_header_inherit merge; add_trailer C c; }",
                HeaderOptions,
            ),
            0,
        )
        trailers = compileTrailers(block, FakeBuild())
        assert trailers is not None
        request = FakeRequest()
        request.status = 200
        self.assertEqual(run(trailers, request), b"\r\nC: c")
        self.assertIsNone(compileTrailers(configure("", HeaderOptions), FakeBuild()))
