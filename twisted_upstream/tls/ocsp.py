"""
Has a client's certificate been revoked?  Its authority is asked, by OCSP.

nginx: event/ngx_event_openssl_stapling.c (ngx_ssl_ocsp_validate and what follows it)
"""

from __future__ import annotations

import base64
import datetime
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from OpenSSL import SSL, crypto

from ..net.sockaddr import inetSockaddr, parseAddress
from .ocsp_response import utcNow, verified

if TYPE_CHECKING:
    from ..net.dialer import SocketDialer
    from ..net.sockaddr import Sockaddr

#: What is wrong with a certificate; empty: nothing.
FAILED = "certificate status request failed"

#: Seconds that a responder may take.
_TIMEOUT = 60.0
_MOST_RESPONSE = 64 * 1024
_MOST_KEPT = 4096

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n((?:[^\r\n][^\n]*\n)*)\r?\n")
_TYPE = re.compile(rb"^content-type:[ \t]*application/ocsp-response\r?$", re.I | re.M)


class Surroundings(Protocol):
    """
    What a check needs of the connection it is for.
    """

    @property
    def dialer(self) -> SocketDialer:
        """
        Connects to authorities.
        """

    @property
    def resolver(self) -> Any:
        """
        Knows their addresses; C{None}: nobody does.
        """

    def logError(self, level: str, message: str, errno: int = 0, /) -> None:
        """
        Write to the error log.
        """


class ResponderError(ValueError):
    """
    A URL that is no responder's; the text is nginx's.
    """


class Responder:
    """
    Where to ask.
    """

    __slots__ = ("host", "path", "port", "sockaddr")

    def __init__(self, url: str) -> None:
        """
        @raise ResponderError: it is no C{http} URL.
        """
        if url[:7].lower() != "http://":
            raise ResponderError(f'invalid URL prefix in OCSP responder "{url}"')
        authority, slash, path = url[7:].partition("/")
        try:
            address = parseAddress(authority, 80)
        except ValueError as e:
            raise ResponderError(f'{e} in OCSP responder "{url}"') from None
        self.host = address.host
        self.port = address.port
        self.sockaddr: Sockaddr | None = address.sockaddr
        self.path = slash + path or "/"


class OCSPCache:
    """
    What authorities have said, until it is out of date.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[str, datetime.datetime]] = OrderedDict()

    def get(self, certificate: bytes) -> str | None:
        """
        What is wrong with a certificate; C{None}: nobody knows.
        """
        found = self._kept.get(certificate)
        if found is None:
            return None
        if found[1] < utcNow():
            del self._kept[certificate]
            return None
        return found[0]

    def put(self, certificate: bytes, status: str, until: datetime.datetime) -> None:
        """
        Remember it.
        """
        self._kept[certificate] = (status, until)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


class OCSPChecker:
    """
    The C{ssl_ocsp} of one server.
    """

    def __init__(
        self,
        *,
        leafOnly: bool,
        responder: Responder | None,
        cache: OCSPCache | None,
    ) -> None:
        """
        @param responder: asked instead of those that certificates name.
        """
        self.leafOnly = leafOnly
        self.responder = responder
        self.cache = cache

    def check(
        self,
        connection: SSL.Connection,
        around: Surroundings,
        done: Callable[[str], None],
    ) -> Callable[[], None]:
        """
        Ask about the certificate of a verified client, and those it depends on.

        @param done: told what is wrong; perhaps before this returns.
        @return: gives up.
        """
        try:
            chain = _chain(connection)
        except (crypto.X509StoreContextError, ValueError):
            done(FAILED)
            return _nothing
        check = _Check(self, chain, around, done)
        check.next()
        return check.giveUp


def _chain(connection: SSL.Connection) -> Sequence[x509.Certificate]:
    """
    From the client's certificate to the trusted one.
    """
    found = connection.get_verified_chain()
    if not found:
        # A resumed session has the certificate alone.
        store = connection.get_context().get_cert_store()
        certificate = connection.get_peer_certificate()
        assert store is not None and certificate is not None
        context = crypto.X509StoreContext(store, certificate)
        found = context.get_verified_chain()
    return [each.to_cryptography() for each in found]


class _Check:
    """
    One connection's check: certificate after certificate.
    """

    def __init__(
        self,
        checker: OCSPChecker,
        chain: Sequence[x509.Certificate],
        around: Surroundings,
        done: Callable[[str], None],
    ) -> None:
        self._checker = checker
        self._chain = chain
        self._around = around
        self._done: Callable[[str], None] | None = done
        self._at = 0
        self._giveUp: Callable[[], None] | None = None
        self._deadline: Any = None
        self._data = b""
        self._transport: Any = None

    def next(self) -> None:
        """
        Ask about the next certificate, if there is one.
        """
        checker, chain = self._checker, self._chain
        while True:
            if self._at == len(chain) - 1 or (checker.leafOnly and self._at == 1):
                self._finish("")
                return
            known = None
            if checker.cache is not None:
                known = checker.cache.get(_key(chain[self._at]))
            if known is None:
                break
            if known:
                self._finish(known)
                return
            self._at += 1
        responder = checker.responder
        try:
            if responder is None:
                responder = _responderOf(chain[self._at])
        except ResponderError as e:
            self._around.logError("error", str(e))
            self._finish(FAILED)
            return
        self._ask(responder)

    def _ask(self, responder: Responder) -> None:
        if responder.sockaddr is not None:
            self._connect(responder, responder.sockaddr)
            return
        resolver = self._around.resolver
        if resolver is None:
            self._around.logError(
                "error", f"no resolver defined to resolve {responder.host}"
            )
            self._finish(FAILED)
            return

        def found(hosts: Sequence[str]) -> None:
            self._giveUp = None
            self._connect(responder, inetSockaddr(hosts[0], responder.port))

        def failed(message: str) -> None:
            self._giveUp = None
            self._around.logError("error", message)
            self._finish(FAILED)

        self._giveUp = resolver.resolve(responder.host, found, failed)

    # ---- asking ---------------------------------------------------------------------

    def _connect(self, responder: Responder, sockaddr: Sockaddr) -> None:
        certificate, issuer = self._chain[self._at : self._at + 2]
        request = (
            ocsp.OCSPRequestBuilder()
            .add_certificate(certificate, issuer, hashes.SHA1())
            .build()
            .public_bytes(Encoding.DER)
        )
        path = responder.path.rstrip("/") + "/"
        path += quote(base64.b64encode(request), safe="")
        self._request = (
            f"GET {path} HTTP/1.0\r\nHost: {responder.host}\r\n\r\n".encode()
        )
        self._data = b""
        giveUp = self._around.dialer.dial(sockaddr, self, self, timeout=_TIMEOUT)
        if self._transport is None and self._done is not None:
            self._giveUp = giveUp

    def makeConnection(self, transport: Any) -> None:
        """
        The connection is open.
        """
        self._transport = transport
        transport.setReadSize(_MOST_RESPONSE)

    def connectionReady(self, connection: Any) -> None:
        """
        Ask.
        """
        self._giveUp = None
        self._deadline = self._around.dialer.deadlines.new(self._timedOut)
        self._deadline.set(_TIMEOUT)
        self._transport.write(self._request)

    def connectionFailed(self, reason: Exception) -> None:
        """
        Nobody is there.
        """
        self._giveUp = None
        message = getattr(reason, "message", str(reason))
        self._around.logError("error", message, getattr(reason, "errno", 0))
        self._finish(FAILED)

    def dataReceived(self, data: bytes) -> None:
        """
        The answer comes.
        """
        self._data += data
        if len(self._data) > _MOST_RESPONSE:
            self._around.logError("error", "OCSP responder sent too long response")
            self._close()
            self._finish(FAILED)

    def connectionLost(self, reason: Any) -> None:
        """
        The answer is complete.
        """
        if self._transport is None:
            return
        self._close()
        self._answered()

    def _timedOut(self) -> None:
        self._around.logError("error", "OCSP responder timed out", 110)
        self._close()
        self._finish(FAILED)

    def _answered(self) -> None:
        head = _HEAD.match(self._data)
        if head is None or head[1] != b"200" or not _TYPE.search(head[2]):
            self._around.logError("error", "OCSP responder sent invalid response")
            self._finish(FAILED)
            return
        certificate, issuer = self._chain[self._at : self._at + 2]
        try:
            status, until = verified(self._data[head.end() :], certificate, issuer)
        except ValueError as e:
            self._around.logError("error", str(e) or "OCSP_basic_verify() failed")
            self._finish(FAILED)
            return
        if self._checker.cache is not None:
            self._checker.cache.put(_key(certificate), status, until)
        if status:
            self._finish(status)
            return
        self._at += 1
        self.next()

    # ---- the end --------------------------------------------------------------------

    def _close(self) -> None:
        transport, self._transport = self._transport, None
        if self._deadline is not None:
            self._deadline.drop()
        if transport is not None:
            transport.abortConnection()

    def _finish(self, status: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status)

    def giveUp(self) -> None:
        """
        Nobody wants to know any more.
        """
        self._done = None
        giveUp, self._giveUp = self._giveUp, None
        if giveUp is not None:
            giveUp()
        self._close()


def _responderOf(certificate: x509.Certificate) -> Responder:
    """
    Who can be asked about a certificate.

    @raise ResponderError: it does not say.
    """
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        ).value
    except (x509.ExtensionNotFound, ValueError):
        found = x509.AuthorityInformationAccess([])
    for each in found:
        if each.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            each.access_location, x509.UniformResourceIdentifier
        ):
            return Responder(each.access_location.value)
    raise ResponderError("no OCSP responder URL in certificate")


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())


def _nothing() -> None:
    """
    Gives up what is over.
    """
