"""
Tests for L{twisted_upstream.http.phases.gzip_accept}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    configureWithWarnings,
    messages,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.gzip_accept import (
    GzipAcceptOptions,
    acceptsGzip,
    addVary,
    compileAccepts,
    editChanged,
)
from twisted_upstream.wire.dates import formatDate
from twisted_upstream.wire.head import ResponseHead

ACCEPT = b"\r\nAccept-Encoding: gzip"


class AcceptTests(SynchronousTestCase):
    """
    What clients and proxies may get.
    """

    def accepts(
        self,
        text: str = "",
        fields: bytes = b"",
        response: bytes = b"",
        version: int = 11,
    ) -> bool:
        """
        May it be compressed?
        """
        accepts = compileAccepts(configure(text, GzipAcceptOptions), FakeBuild())
        request = FakeRequest(fields=ACCEPT + fields, version=version)
        return accepts(request, ResponseHead(200, response))

    def test_encoding(self) -> None:
        """
        A client says so with a quality above 0; the first gzip counts, C{*} does not.
        """
        for value, expected in (
            (b"gzip", True),
            (b"gzip,deflate", True),
            (b"deflate, gzip", True),
            (b"deflate,GZIP, br", True),
            (b"gzip , br", True),
            (b"gzip;", True),
            (b"gzip; ", True),
            (b"gzip;q=0.5", True),
            (b"gzip; Q=1", True),
            (b"gzip;q=1.", True),
            (b"gzip;q=0.001, br", True),
            (b"gzip;q=1.000", True),
            (b"gzip;q=0", False),
            (b"gzip;q=0.000", False),
            (b"gzip;q=0.", False),
            (b"gzip;q=0.0001", False),
            (b"gzip;q=1.5", False),
            (b"gzip;q=1.0000", False),
            (b"gzip;q=x", False),
            (b"gzip;q=", False),
            (b"gzip;q", False),
            (b"gzip;x", False),
            (b"gzip x, gzip", False),
            (b"gzip;q=0, gzip", False),
            (b"xgzip, gzip", True),
            (b"xgzip", False),
            (b"gzipped", False),
            (b"identity", False),
            (b"*", False),
            (b"", False),
        ):
            self.assertEqual(acceptsGzip(value), expected, value)

    def test_version(self) -> None:
        """
        HTTP/1.0 only gets it where that is said.
        """
        self.assertFalse(self.accepts(version=10))
        self.assertTrue(self.accepts("gzip_http_version 1.0;", version=10))
        self.assertFalse(self.accepts("gzip_http_version 1.0;", version=9))

    def test_disable(self) -> None:
        """
        Some browsers get nothing compressed; all lines count.
        """
        text = "gzip_disable msie6 foo; gzip_disable ^bar;"
        for agent, expected in (
            (b"a FOO b", False),
            (b"Bar", False),
            (b"a bar", True),
            (b"Mozilla/4.0 (compatible; MSIE 6.0; Windows)", False),
            (b"Mozilla/4.0 (compatible; MSIE 6.0; Windows; SV1)", True),
        ):
            field = b"\r\nUser-Agent: " + agent
            self.assertEqual(self.accepts(text, field), expected, agent)
        self.assertTrue(self.accepts(text))

    def test_proxied(self) -> None:
        """
        What proxies get depends on what the response says.
        """
        past, future = (formatDate(moment) for moment in (1_000, 2_000_000_000_0))
        expired = b"\r\nExpires: " + past
        fresh = b"\r\nExpires: " + future
        cache = b"\r\nCache-Control: "
        for text, fields, response, expected in (
            ("", b"", b"", False),
            ("any", b"", b"", True),
            ("off", b"", expired, False),
            ("expired", b"", expired, True),
            ("expired", b"", fresh, False),
            ("expired", b"", b"\r\nExpires: nonsense", False),
            ("expired", b"", b"", True),
            ("no-cache", b"", expired, False),
            ("no-cache", b"", cache + b"no-cache", True),
            ("no-cache", b"", cache + b"max-age=0, No-Cache", True),
            ("no-cache", b"", cache + b"no-cache=x", False),
            ("no-cache", b"", cache + b"no-store", False),
            ("no-cache no-store", b"", cache + b"no-store", True),
            ("private", b"", cache + b"public" + cache + b"private", True),
            ("expired", b"", cache + b"private", False),
            ("no_last_modified", b"", b"\r\nLast-Modified: x", False),
            ("no_etag", b"", b"\r\nLast-Modified: x", True),
            ("no_etag", b"", b"\r\nETag: x", False),
            ("auth", b"\r\nAuthorization: x", fresh, True),
            ("auth", b"", fresh, False),
        ):
            said = f"gzip_proxied {text};" if text else ""
            via = b"\r\nVia: 1.1 a" + fields
            self.assertEqual(
                self.accepts(said, via, response), expected, (text, response)
            )

    def test_wrong(self) -> None:
        """
        What is neither known nor a pattern is refused; what is said twice, told.
        """
        for text, message in (
            ("gzip_proxied nothing;", 'invalid value "nothing"'),
            ("gzip_disable (;", "pcre2_compile() failed"),
        ):
            error = self.assertRaises(ConfigError, configure, text, GzipAcceptOptions)
            self.assertIn(message, messages(error)[0])
        warnings = configureWithWarnings("gzip_proxied auth auth;", GzipAcceptOptions)[
            1
        ]
        self.assertEqual(
            [each.message for each in warnings], ['duplicate value "auth"']
        )


class EditTests(SynchronousTestCase):
    """
    Heads of responses that are changed.
    """

    def test_changed(self) -> None:
        """
        Length and ranges go, the ETag becomes weak; one that cannot goes.
        """
        for before, after in (
            (b'\r\nETag: "a"', b'\r\nETag: W/"a"'),
            (b'\r\nETag: W/"a"', b'\r\nETag: W/"a"'),
            (b"\r\nETag: a\r\nX: y", b"\r\nX: y"),
            (b"\r\nAccept-Ranges: bytes\r\nX: y", b"\r\nX: y"),
        ):
            head = ResponseHead(200, before, contentLength=5)
            editChanged(head)
            self.assertEqual(head.fields, after)
            self.assertIsNone(head.contentLength)

    def test_vary(self) -> None:
        """
        Vary is added once.
        """
        head = ResponseHead(200, b"\r\nX: y")
        addVary(head)
        addVary(head)
        self.assertEqual(head.fields, b"\r\nVary: Accept-Encoding\r\nX: y")
