"""
Tests for L{twisted_upstream.wire.request_line}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit
from twisted_upstream.wire.request_line import BadLine, RequestLine, readRequestLine


def described(said: RequestLine | None) -> Any:
    """
    Everything a line says, comparable.
    """
    if said is None:
        return None
    return {name: getattr(said, name) for name in RequestLine.__slots__}


class ReadTests(SynchronousTestCase):
    """
    Tests for L{readRequestLine}.
    """

    def test_forms(self) -> None:
        """
        Each form is taken apart when its LF has come, not before.
        """
        for line, method, target, authority, path, version in [
            (b"GET / HTTP/1.1", b"GET", b"/", None, b"/", 11),
            (b"A_-B /x?y#z HTTP/1.0", b"A_-B", b"/x?y#z", None, b"/x?y#z", 10),
            (b"GET   /   HTTP/1.1   ", b"GET", b"/", None, b"/", 11),
            (b"GET /", b"GET", b"/", None, b"/", 9),
            (b"GET /  ", b"GET", b"/", None, b"/", 9),
            (b"GET / HTTP/1.00", b"GET", b"/", None, b"/", 10),
            (b"GET / HTTP/1.01", b"GET", b"/", None, b"/", 11),
            (b"GET / HTTP/1.999", b"GET", b"/", None, b"/", 11),
            (b"GET h2+.-://A/x", b"GET", b"h2+.-://A/x", b"A", b"/x", 9),
            (b"GET h://A:/x HTTP/1.1", b"GET", b"h://A:/x", b"A:", b"/x", 11),
            (b"GET h://[::1]:2?x HTTP/1.1", b"GET", b"h://[::1]:2?x", b"[::1]:2", b"?x", 11),
            (b"GET h://A HTTP/1.1", b"GET", b"h://A", b"A", b"/", 11),
            (b"GET h:// HTTP/1.1", b"GET", b"h://", b"", b"/", 11),
            (b"CONNECT a:1 HTTP/1.1", b"CONNECT", b"a:1", b"a:1", b"/", 11),
            (b"CONNECT [::]:1 HTTP/1.1", b"CONNECT", b"[::]:1", b"[::]:1", b"/", 11),
        ]:  # fmt: skip
            wanted = {
                "text": line,
                "method": method,
                "target": target,
                "authority": authority,
                "path": path,
                "version": version,
            }
            for end in (b"\r\n", b"\n"):
                whole = line + end
                found = list(
                    everySplit(lambda part: described(readRequestLine(part)), whole)
                )
                self.assertEqual(found, [(len(whole), wanted)])

    def test_earliest(self) -> None:
        """
        A line is refused with the first byte that is wrong.
        """
        for line, status in [
            (b"g", 400),
            (b" ", 400),
            (b"GETx", 400),
            (b"GET\n", 400),
            (b"GET *", 400),
            (b"GET \t", 400),
            (b"GET /\x01", 400),
            (b"GET /\r\r", 400),
            (b"GET / X", 400),
            (b"GET / HTTQ", 400),
            (b"GET / HTTP/0", 400),
            (b"GET / HTTP/1x", 400),
            (b"GET / HTTP/1.x", 400),
            (b"GET / HTTP/1.\n", 400),
            (b"GET / HTTP/1.1x", 400),
            (b"GET / HTTP/1.1 x", 400),
            (b"GET / HTTP/1.1\rx", 400),
            (b"GET / HTTP/1.1000", 400),
            (b"GET / HTTP/2", 505),
            (b"GET / HTTP/10", 505),
            (b"GET h/", 400),
            (b"GET h:x", 400),
            (b"GET h:/x", 400),
            (b"GET h://_", 400),
            (b"GET h://a:x", 400),
            (b"GET h://a\n", 400),
            (b"GET h://[/", 400),
            (b"GET h://[a]b", 400),
            (b"CONNECT a ", 400),
            (b"CONNECT a/", 400),
            (b"CONNECT a: ", 400),
            (b"CONNECT a:1/", 400),
            (b"CONNECT a:1\n", 400),
            (b"POST /\n", 400),
        ]:
            found = list(
                everySplit(lambda part: described(readRequestLine(part)), line)
            )
            self.assertEqual([count for count, _ in found], [len(line)], line)
            e = self.assertRaises(BadLine, readRequestLine, line)
            self.assertEqual(e.status, status)

    def test_reasons(self) -> None:
        """
        nginx has four reasons.
        """
        for line, reason in [
            (b"get", "client sent invalid method"),
            (b"GET *", "client sent invalid request"),
            (b"GET / HTTP/2", "client sent invalid version"),
            (b"POST /\n", "client sent invalid method in HTTP/0.9 request"),
        ]:
            e = self.assertRaises(BadLine, readRequestLine, line)
            self.assertEqual(e.reason, reason)
