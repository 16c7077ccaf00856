"""
Tests for L{twisted_upstream.wire.request_head}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.request_head import BadRequest, HeadLimits, RequestHead


class HeadLimitsTests(SynchronousTestCase):
    """
    Tests for L{HeadLimits}.
    """

    def test_defaults(self) -> None:
        """
        The defaults are nginx's.
        """
        limits = HeadLimits()
        self.assertEqual(limits.headerBufferSize, 1024)
        self.assertEqual(limits.largeBufferCount, 4)
        self.assertEqual(limits.largeBufferSize, 8192)
        self.assertEqual(limits.maxHeaders, 1000)
        self.assertTrue(limits.ignoreInvalidHeaders and limits.mergeSlashes)
        self.assertFalse(limits.underscoresInHeaders or limits.allowConnect)

    def test_safeSize(self) -> None:
        """
        Heads up to this size need no closer look.
        """
        for limits, size in [
            (HeadLimits(), 6000),
            (HeadLimits(maxHeaders=10000), 8192),
            (HeadLimits(largeBufferCount=0), 1024),
            (HeadLimits(largeBufferSize=512), 1024),
            (HeadLimits(maxHeaders=5), 30),
        ]:
            self.assertEqual(limits.safeSize, size)

    def test_drops(self) -> None:
        """
        Which names are dropped is configured.
        """
        for limits, dropped in [
            (HeadLimits(), [b"a_b", b"a.b", b"\xff"]),
            (HeadLimits(underscoresInHeaders=True), [b"a.b", b"\xff"]),
            (HeadLimits(ignoreInvalidHeaders=False), []),
        ]:
            names = [b"a-b", b"A1", b"a_b", b"a.b", b"\xff"]
            self.assertEqual([name for name in names if limits.drops(name)], dropped)


class RequestHeadTests(SynchronousTestCase):
    """
    Tests for L{RequestHead}.
    """

    def test_fieldsByName(self) -> None:
        """
        Values that are seldom asked for are looked up.
        """
        head = RequestHead(
            b"GET",
            b"/",
            b"/",
            b"/",
            b"",
            False,
            11,
            b"GET / HTTP/1.1  ",
            b"\r\nHOST: A:80\r\nconnection: TE\r\nConnection: close",
        )
        self.assertEqual(head.hostField, b"A:80")
        self.assertEqual(head.connection, b"TE")
        self.assertEqual(head.protocol, b"HTTP/1.1  ")

    def test_refusal(self) -> None:
        """
        A refusal says what nginx would answer and log.
        """
        e = BadRequest(501, "client sent something", b"GET / HTTP/1.1", None)
        self.assertEqual(str(e), "(501, 'client sent something')")
