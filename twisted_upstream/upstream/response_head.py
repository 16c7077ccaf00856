"""
The head of a response: read, judged, and made what the client gets to see of it.

The state is the method that takes the connection's next bytes: C{_headReceived}, then
what L{twisted_upstream.upstream.response} has for bodies.

nginx: C{ngx_http_upstream_process_header()}, C{ngx_http_upstream_test_next()},
C{ngx_http_upstream_intercept_errors()}, C{ngx_http_upstream_process_headers()},
C{ngx_http_upstream_upgrade()}
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..net.dialer import ConnectTimedOut
from ..wire.response1 import InvalidHead
from . import fields, retry
from .relay import End, Relay
from .response import READING_HEAD, UpstreamResponse

if TYPE_CHECKING:
    from ..wire.head import ResponseHead

SENDING = "sending request to upstream"


class Closed(Exception):
    """
    A connection ended too early.
    """


class UpstreamHead(UpstreamResponse):
    """
    What a request needs once it was sent.
    """

    __slots__ = ("_data", "_interim")

    #: What came of a head that is not complete.
    _data: bytes
    #: Bytes of interim responses that were passed on in this attempt.
    _interim: int

    def _failed(
        self, failure: int, reason: BaseException, action: str, level: str = "error"
    ) -> None:
        """
        This attempt has failed before the response began.
        """
        raise NotImplementedError

    def _tryAnother(self, status: int) -> bool:
        """
        Is another server asked, as this one answers C{status}?
        """
        raise NotImplementedError

    def _headReceived(self, data: bytes) -> None:
        if self._data:
            data = self._data + data
        exchange = self._exchange
        passing = self._passing
        while True:
            try:
                head = exchange.processHeader(data)
            except InvalidHead as e:
                self._failed(retry.INVALID_HEADER, e, READING_HEAD)
                return
            offset = exchange.headOffset
            size = (len(data) if head is None else head.consumed) - offset
            if size > passing.bufferSize or (
                head is None and size == passing.bufferSize
            ):
                self._headTooBig()
                return
            if head is None:
                self._data = data[offset:] if offset else data
                exchange.headOffset = 0
                assert self._connection is not None
                if not self._connection.transport.pending:
                    self._connection.deadline.set(passing.readTimeout)
                return
            if head.status >= 200:
                break
            if head.status == 101:
                if self._maySwitch(head):
                    break
                self._failed(
                    retry.INVALID_HEADER,
                    InvalidHead("upstream switched protocols without being asked"),
                    READING_HEAD,
                )
                return
            if head.status < 100:
                shown = f'upstream sent invalid status "{head.status:03}"'
                self._failed(retry.INVALID_HEADER, InvalidHead(shown), READING_HEAD)
                return
            # Interim responses may be dropped by a proxy (RFC 9110, 15.2); nginx takes
            # those other than 103 for final ones.
            if not self._attempt.status:
                self._attempt.status = head.status
            if self._client.sendInterim(head):
                # One buffer is room for all of them: they could come without end, and
                # the client need not take them.
                self._interim += size
                if self._interim > passing.bufferSize:
                    self._headTooBig()
                    return
            data = data[head.consumed :]
        self._headAccepted(head, data)

    def _headTooBig(self) -> None:
        reason = InvalidHead("upstream sent too big header")
        self._failed(retry.INVALID_HEADER, reason, READING_HEAD)

    def _headAccepted(self, head: ResponseHead, data: bytes) -> None:
        attempt = self._attempt
        client = self._client
        passing = self._passing
        attempt.headerTime = passing.seconds() - attempt.begun
        status = head.status
        if not attempt.status:
            attempt.status = status
        self._data = b""
        if (
            status >= 300
            and status in retry.CONDITION_OF_STATUS
            and self._tryAnother(status)
        ):
            return
        client.upstreamFields = head.fields
        assert self._peer is not None
        self._getter.notifyPeer(self._peer, "header", attempt.headerTime)
        if status >= 300 and (
            (passing.interceptErrors and client.hasErrorPage(status))
            or (status == 404 and passing.intercept404)
        ):
            self._intercept(head)
            return
        self._head = head
        buffered = passing.buffering
        values = head.values
        if values:
            if head.contentType is None:
                head.contentType = values.get(b"content-type")
            if not passing.noted.isdisjoint(values):
                if not passing.acted.isdisjoint(values):
                    buffered = self._act(values, buffered)
                    if b"x-accel-redirect" in values and (
                        b"x-accel-redirect" in passing.acted
                    ):
                        self._redirect(head, values[b"x-accel-redirect"])
                        return
                self._rewrite(head)
        if passing.shown:
            passing.show(head)
        if head.fields:
            head.fields = passing.hide(b"", head.fields)
        self._buffered = buffered
        if status == 101:
            self._upgrade(head, data[head.consumed :])
            return
        self._sendResponse(head, data)

    def _act(self, values: Mapping[bytes, bytes], buffered: bool) -> bool:
        """
        Obey what the server says about how its response is passed on.

        @return: is it buffered?
        """
        for key in self._passing.acted.intersection(values):
            value = values[key]
            if key == b"x-accel-buffering":
                buffered = {b"yes": True, b"no": False}.get(value.lower(), buffered)
            elif key == b"x-accel-limit-rate":
                self._client.setLimitRate(value)
        return buffered

    def _rewrite(self, head: ResponseHead) -> None:
        exchange = self._exchange
        redirect, cookie = exchange.rewriteRedirect, exchange.rewriteCookie
        if redirect is not None or cookie is not None:
            head.fields, head.location = fields.rewrite(
                head.fields, redirect, cookie, self._client.absoluteRedirect
            )

    def _headEnded(self, reason: BaseException | None) -> None:
        exchange = self._exchange
        connection = self._connection
        truncated = connection is not None and connection.transport.truncated
        if reason is None and self._data and not truncated:
            # Some protocols end their head with the connection (HTTP/0.9).
            try:
                head = exchange.endHeader(self._data)
            except InvalidHead as e:
                self._failed(retry.INVALID_HEADER, e, READING_HEAD)
                return
            if head is not None:
                data, self._data = self._data, b""
                self._headAccepted(head, data)
                if self._connection is not None:
                    self._bodyEnded(None)
                return
        if reason is None:
            reason = Closed("upstream prematurely closed connection")
        self._failed(retry.ERROR, reason, READING_HEAD)

    def _headTimedOut(self) -> None:
        connection = self._connection
        assert connection is not None
        transport = connection.transport
        if transport.pending:
            if transport.bytesSent != self._progress:
                self._progress = transport.bytesSent
                connection.deadline.set(self._passing.sendTimeout)
                return
            self._failed(retry.TIMEOUT, ConnectTimedOut(), SENDING)
            return
        if self._streaming and not self._client.body.complete:
            # The client is the slow one: its own time-out watches it.
            connection.deadline.set(self._passing.readTimeout)
            return
        self._failed(retry.TIMEOUT, ConnectTimedOut(), READING_HEAD)

    def _redirect(self, head: ResponseHead, value: bytes) -> None:
        """
        X-Accel-Redirect: another location answers.
        """
        received = self._filter = self._exchange.inputFilterInit(head)
        if received.remaining == 0:
            self._done(received)
        else:
            self._release(False)
            self._exchange.finalizeRequest(0)
        self._client.accelRedirect(value, head)

    def _intercept(self, head: ResponseHead) -> None:
        """
        An error page of ours replaces the response.
        """
        received = self._filter = self._exchange.inputFilterInit(head)
        kept = b""
        if head.status == 401:
            for value in fields.values(head.fields, b"www-authenticate"):
                kept += b"\r\nWWW-Authenticate: " + value
        if received.remaining == 0:
            self._done(received)
        else:
            self._release(False)
            self._exchange.finalizeRequest(head.status)
        self._client.failResponse(head.status, kept)

    def _maySwitch(self, head: ResponseHead) -> bool:
        """
        Was that protocol asked for, and is all of the request sent, behind which it
        begins?
        """
        return head.upgrade and not (self._streaming and not self._client.body.complete)

    def _upgrade(self, head: ResponseHead, rest: bytes) -> None:
        """
        101: from here on both sides' bytes belong to another protocol.
        """
        connection = self._connection
        assert connection is not None
        client = self._client
        early = client.sendUpgrade(head)
        passing = self._passing
        relay = Relay(
            client.connection,
            connection,
            bufferSize=passing.bufferSize,
            timeout=passing.readTimeout,
            # nginx closes both sides when one ends; here the other may finish.
            halfClose=True,
            done=self._relayEnded,
        )
        self._attempt.responseLength = len(rest)
        relay.begin(early, rest)

    def _relayEnded(self, end: End) -> None:
        if end is End.TIMEOUT:
            self._log(
                "info",
                "upstream timed out",
                "proxying upgraded connection",
                errno.ETIMEDOUT,
            )
        connection = self._connection
        if connection is not None:
            attempt = self._attempt
            received = connection.transport.bytesReceived - self._readMark
            head = self._head
            attempt.responseLength = received - (head.consumed if head else 0)
        self._release(False)
        self._exchange.finalizeRequest(0)
        self._client.upgradeEnded()
