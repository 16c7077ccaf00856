"""
What a TLS client says before anybody answers: the names and protocols it asks for.

nginx: C{ngx_stream_ssl_preread_module.c}:
C{ngx_stream_ssl_preread_parse_record()}
"""

from __future__ import annotations

from struct import Struct

_kindAndSize = Struct(">HH").unpack_from

_HANDSHAKE = 0x16
_CLIENT_HELLO = 1

_SERVER_NAME = 0
_GROUPS = 10
_SIGNATURE_ALGORITHMS = 13
_ALPN = 16
_SESSION_TICKET = 35
_PRE_SHARED_KEY = 41
_VERSIONS = 43

_TICKET_NAME = 16

_VERSION_NAMES = {
    b"\x00\x02": "SSLv2",
    b"\x03\x00": "SSLv3",
    b"\x03\x01": "TLSv1",
    b"\x03\x02": "TLSv1.1",
    b"\x03\x03": "TLSv1.2",
    b"\x03\x04": "TLSv1.3",
}


class NotClientHello(ValueError):
    """
    It is no TLS, or its first message makes no sense.
    """


class ClientHello:
    """
    The first message of a client.

    @ivar version: the highest version, two bytes.  As nginx has it: the mere presence
        of the extension that TLS 1.3 brought counts as 1.3.
    @ivar serverName: as sent; C{None}: none was.
    @ivar protocols: of the application, in the client's order (ALPN).
    @ivar ciphers: cipher suites, two bytes each, in the client's order.
    @ivar groups: for the key exchange.
    @ivar signatureAlgorithms: in the client's order.
    @ivar ticketName: the first 16 bytes of the ticket that the client comes back with,
        which name the ticket's key (RFC 5077, section 4); empty: it has none.
    """

    __slots__ = (
        "_ciphers",
        "_groups",
        "_signatureAlgorithms",
        "protocols",
        "serverName",
        "ticketName",
        "version",
    )

    def __init__(self, version: bytes) -> None:
        self.version = version
        self.serverName: bytes | None = None
        self.protocols: tuple[bytes, ...] = ()
        self.ticketName = b""
        # Seldom asked for, and long.
        self._ciphers = self._groups = self._signatureAlgorithms = b""

    @property
    def ciphers(self) -> tuple[bytes, ...]:
        """
        Cipher suites.
        """
        data = self._ciphers
        return tuple(data[at : at + 2] for at in range(0, len(data) - 1, 2))

    @property
    def groups(self) -> tuple[int, ...]:
        """
        Groups.
        """
        return _numbers(self._groups)

    @property
    def signatureAlgorithms(self) -> tuple[int, ...]:
        """
        Signature algorithms.
        """
        return _numbers(self._signatureAlgorithms)

    @property
    def protocolName(self) -> str:
        """
        C{TLSv1.3} and so on; empty for a version that nobody knows.
        """
        return _VERSION_NAMES.get(self.version, "")


class ClientHelloParser:
    """
    Finds the message in what a client has sent so far.

    Each record is looked at once, however the bytes come: a client that sends them one
    by one costs no more than one that sends them together.
    """

    __slots__ = ("_at", "_message")

    def __init__(self) -> None:
        self._at = 0
        self._message = bytearray()

    def parse(self, data: bytes) -> ClientHello | None:
        """
        @param data: everything from the first byte on, and more each time.
        @return: C{None}: more is needed.
        @raise NotClientHello: more would not help.
        """
        while True:
            at = self._at
            if len(data) - at < 5:
                # Who sends something else need not send five bytes of it.
                if len(data) > at and not at and not _mayBegin(data):
                    raise NotClientHello("not TLS")
                return None
            first = data[at]
            if not at and first & 0x80 and data[2] == 1 and data[3] in (0, 3):
                return ClientHello(data[3:5])
            if first != _HANDSHAKE or data[at + 1] != 3:
                raise NotClientHello("not TLS")
            end = at + 5 + (data[at + 3] << 8 | data[at + 4])
            if len(data) < end:
                return None
            self._at = end
            message = self._message
            if not message:
                # Nearly always all of it is here.
                hello = _whole(data, at + 5, end)
                if hello is not None:
                    return hello
            message += data[at + 5 : end]
            if message and message[0] != _CLIENT_HELLO:
                raise NotClientHello("not a client hello")
            if len(message) >= 4:
                size = int.from_bytes(message[1:4], "big")
                if len(message) >= 4 + size:
                    return _hello(bytes(message[4 : 4 + size]))


def _mayBegin(data: bytes) -> bool:
    """
    Can the first few bytes begin a hello?
    """
    if data[0] == _HANDSHAKE:
        return len(data) < 2 or data[1] == 3
    if data[0] & 0x80:
        return (len(data) < 3 or data[2] == 1) and (len(data) < 4 or data[3] in (0, 3))
    return False


def _whole(data: bytes, begin: int, end: int) -> ClientHello | None:
    """
    The message in a record.

    @return: C{None}: it is not this, or goes on in the next record.
    """
    if end - begin < 4 or data[begin] != _CLIENT_HELLO:
        return None
    begin += 4
    size = data[begin - 3] << 16 | data[begin - 2] << 8 | data[begin - 1]
    return _hello(data[begin : begin + size]) if begin + size <= end else None


class _Reader:
    """
    A part of a message, read from its begin to its end.

    @ivar at: what is next.
    """

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._end = len(data)

    def __bool__(self) -> bool:
        return self.at < self._end

    def take(self, size: int) -> bytes:
        """
        The next C{size} bytes.
        """
        at = self.at
        end = at + size
        if end > self._end:
            raise NotClientHello("a length exceeds the message")
        self.at = end
        return self._data[at:end]

    def number(self, size: int) -> int:
        """
        The next C{size} bytes as a number.
        """
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """
        What follows a length of C{size} bytes.
        """
        return self.take(self.number(size))


def _hello(body: bytes) -> ClientHello:
    """
    The inside of the message.
    """
    end = len(body)
    try:
        hello = ClientHello(body[:2])
        # Behind the version come 32 random bytes.
        at = 35 + body[34]
        size = body[at] << 8 | body[at + 1]
        at += 2
        hello._ciphers = body[at : at + size]
        at += size
        at += 1 + body[at]
    except IndexError:
        raise NotClientHello("a length exceeds the message") from None
    if at == end:
        # Before extensions were invented.
        return hello
    at += 2
    if at > end:
        raise NotClientHello("a length exceeds the message")
    reader = _Reader(body)
    # There are a dozen or two, of which most are skipped.
    while at < end:
        if end - at < 4:
            raise NotClientHello("a length exceeds the message")
        kind, size = _kindAndSize(body, at)
        at += 4
        reader.at = at
        # As in nginx, these tell their lengths themselves.
        if kind == _SERVER_NAME and hello.serverName is None:
            hello.serverName = _serverName(reader)
            at = reader.at
        elif kind == _ALPN and not hello.protocols:
            hello.protocols = _protocols(reader)
            at = reader.at
        elif kind == _VERSIONS:
            hello.version = b"\x03\x04"
            reader.vector(1)
            at = reader.at
        elif end - at < size:
            raise NotClientHello("a length exceeds the message")
        else:
            if kind == _GROUPS:
                hello._groups = body[at : at + size]
            elif kind == _SIGNATURE_ALGORITHMS:
                hello._signatureAlgorithms = body[at : at + size]
            elif kind == _SESSION_TICKET:
                hello.ticketName = body[at : at + min(size, _TICKET_NAME)]
            elif kind == _PRE_SHARED_KEY:
                # The first identity, after the lengths of all and of itself.
                hello.ticketName = body[at + 4 : at + min(size, 4 + _TICKET_NAME)]
            at += size
    return hello


def _serverName(reader: _Reader) -> bytes:
    left = reader.number(2)
    if reader.number(1):
        raise NotClientHello("the server name is of an unknown kind")
    name = reader.vector(2)
    left -= 3 + len(name)
    if left < 0:
        raise NotClientHello("a length exceeds the extension")
    reader.take(left)
    return name


def _protocols(reader: _Reader) -> tuple[bytes, ...]:
    left = reader.number(2)
    found = []
    while left > 0:
        name = reader.vector(1)
        left -= 1 + len(name)
        if not name or left < 0:
            raise NotClientHello("a protocol without a name, or half of one")
        found.append(name)
    return tuple(found)


def _numbers(content: bytes) -> tuple[int, ...]:
    """
    A list of two bytes each; nothing, should it be cut: OpenSSL will refuse it.
    """
    if len(content) < 2:
        return ()
    data = content[2:]
    return tuple(data[at] << 8 | data[at + 1] for at in range(0, len(data) - 1, 2))
