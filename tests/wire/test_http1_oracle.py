"""
Tests for L{twisted_upstream.wire.http1}: whatever comes, and what h11 makes of it.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.heads import BROWSER, LIMITS, HeadCase, described, request
from tests.wire.splits import outcome
from twisted_upstream.wire.http1 import BadRequest, parseRequest


class OracleTests(HeadCase):
    """
    Whatever comes, and what h11 makes of it.
    """

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """
        Any bytes are a head, no head, or refused; more bytes do not change a verdict.
        """
        self.checkGarbage(data)

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"GET / HTTP/1.1",
                    b"\r\n",
                    b"\n",
                    b"\r",
                    b"Host: a",
                    b"X:",
                    b" ",
                    b"\t",
                    b"\0",
                    b":",
                    b"Content-Length: 1",
                    b"Transfer-Encoding: chunked",
                    b"/",
                    b"%",
                    b"..",
                    b"HTTP/",
                    b"_",
                    b"\xff",
                ]
            ),
            max_size=20,
        )
    )
    def test_likelyGarbage(self, pieces: list[bytes]) -> None:
        """
        The same for bytes that have something of a head.
        """
        self.checkGarbage(b"".join(pieces))
        self.checkGarbage(request(b"".join(pieces)))

    def checkGarbage(self, data: bytes) -> None:
        """
        Any part of C{data} is judged as the whole, or not judged yet.
        """

        def judge(part: bytes) -> Any:
            try:
                return described(parseRequest(part, LIMITS))
            except BadRequest as e:
                return e.status

        self.assertSteady(judge, data)

    @given(
        st.integers(0, len(BROWSER) - 1),
        st.integers(0, 3),
        st.one_of(
            st.binary(min_size=1, max_size=2),
            st.sampled_from(
                [b"\n", b"\r", b"\nHost: b", b"\nContent-Length: 7", b"\rX: y"]
            ),
        ),
    )
    def test_changed(self, position: int, dropped: int, inserted: bytes) -> None:
        """
        The same for a good head with something changed.
        """
        self.checkGarbage(BROWSER[:position] + inserted + BROWSER[position + dropped :])

    names = st.from_regex(r"\A[A-Za-z0-9-]{1,12}\Z").map(str.encode)
    values = st.from_regex(r"\A(?:[!-~](?:[ -~]{0,20}[!-~])?)?\Z").map(str.encode)

    @given(
        st.from_regex(r"\A[A-Z]{1,8}\Z").map(str.encode),
        st.from_regex(r"\A/[A-Za-z0-9/_~-]{0,20}(?:\?[!-~]{0,10})?\Z").map(str.encode),
        st.lists(st.tuples(names, values), max_size=8),
        st.sampled_from([b"", b"Content-Length: 12\r\n"]),
        st.sampled_from([b": ", b":", b":  "]),
    )
    def test_likeH11(
        self,
        method: bytes,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        framing: bytes,
        colon: bytes,
    ) -> None:
        """
        What is a proper request for h11 is the same request here.
        """
        known = {b"host", b"content-length", b"transfer-encoding", b"expect"}
        # h11 refuses some of what nginx has no opinion of, and the other way round.
        unlike = known | {b"te", b"connection", b"proxy-authorization"}
        fields = [field for field in fields if field[0].lower() not in unlike]
        data = (
            b"%b %b HTTP/1.1\r\nHost: a\r\n%b" % (method, target, framing)
            + b"".join(name + colon + value + b"\r\n" for name, value in fields)
            + b"\r\n"
        )
        oracle = h11.Connection(h11.SERVER)
        oracle.receive_data(data)
        wanted = oracle.next_event()
        assert isinstance(wanted, h11.Request)
        found = outcome(lambda: parseRequest(data, LIMITS))
        names = [name.lower() for name, _ in fields]
        if method in (b"TRACE", b"CONNECT") or len(set(names)) < len(names):
            # Methods that are not served, fields that may stand once.
            return
        self.assertEqual((found.method, found.target), (wanted.method, wanted.target))
        lines = [line.partition(b": ") for line in found.fields.split(b"\r\n")[1:]]
        self.assertEqual(
            [(name.lower(), value) for name, _, value in lines], list(wanted.headers)
        )
        self.assertEqual(found.contentLength, 12 if framing else None)
