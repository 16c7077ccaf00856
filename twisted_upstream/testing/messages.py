"""
HTTP/1 messages as the two ends see them: written from parts, read from bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..wire.body import Chunked

if TYPE_CHECKING:
    from .memory import MemorySocket


def message(first: str, fields: Sequence[str], body: bytes = b"") -> bytes:
    """
    An HTTP/1 message: its first line, its fields, its body.
    """
    return "\r\n".join((first, *fields, "", "")).encode("latin-1") + body


def get(path: str = "/", *fields: str, host: str = "example.com") -> bytes:
    """
    A GET request of HTTP/1.1.
    """
    return message(f"GET {path} HTTP/1.1", (f"Host: {host}", *fields))


def post(body: bytes, path: str = "/", *fields: str, method: str = "POST") -> bytes:
    """
    A POST request with Content-Length.
    """
    length = f"Content-Length: {len(body)}"
    return message(
        f"{method} {path} HTTP/1.1", ("Host: example.com", length, *fields), body
    )


def chunks(*pieces: bytes, trailers: str = "") -> bytes:
    """
    A body in chunks.
    """
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces)
    return body + b"0\r\n" + trailers.encode() + b"\r\n"


def answer(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    """
    A response of HTTP/1.1 with Content-Length.
    """
    return message(
        f"HTTP/1.1 {status}", (f"Content-Length: {len(body)}", *fields), body
    )


class Message:
    """
    A request or response that was heard.

    @ivar first: its first line.
    @ivar fields: names and values, as they came.
    @ivar body: without framing.
    @ivar complete: did it end as its head said?
    @ivar trailers: fields after a body in chunks, as they came.
    """

    def __init__(self, first: str, fields: list[tuple[str, str]]) -> None:
        self.first = first
        self.fields = fields
        self.body = b""
        self.complete = True
        self.trailers: list[tuple[str, str]] = []

    @property
    def method(self) -> str:
        """
        A request's method.
        """
        return self.first.partition(" ")[0]

    @property
    def target(self) -> str:
        """
        What a request asks for: path and query.
        """
        return self.first.split(" ")[1]

    @property
    def status(self) -> int:
        """
        A response's status.
        """
        return int(self.first.split(" ")[1])

    def all(self, name: str) -> list[str]:
        """
        All values of one field.
        """
        return [value for each, value in self.fields if each.lower() == name.lower()]

    def __getitem__(self, name: str) -> str | None:
        """
        The only value of a field, or C{None}.
        """
        found = self.all(name)
        if len(found) > 1:
            raise AssertionError(f"{name} stands there {len(found)} times")
        return found[0] if found else None

    def __repr__(self) -> str:
        return f"<{self.first} {self.fields} {self.body!r} complete={self.complete}>"


def _fields(block: bytes) -> list[tuple[str, str]]:
    found = []
    for line in block.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        found.append((name, value))
    return found


def readMessage(
    data: bytes, *, ended: bool, headOnly: bool = False
) -> tuple[Message, bytes] | None:
    """
    Read one message.

    @param ended: nothing comes after C{data}.
    @param headOnly: it answers a HEAD request.
    @return: the message and what follows; C{None}: there is no whole head.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, _, block = head.partition(b"\r\n")
    found = Message(first.decode("latin-1"), _fields(block) if block else [])
    isResponse = found.first.startswith("HTTP/")
    status = found.status if isResponse else 0
    coding = found["Transfer-Encoding"]
    length = found["Content-Length"]
    if headOnly or 100 <= status < 200 or status in (204, 304):
        return found, rest
    if coding == "chunked":
        decoder = Chunked(trailerLimit=4096)
        found.body = decoder.inputFilter(rest)
        found.complete = decoder.remaining == 0
        if decoder.trailers:
            found.trailers = _fields(decoder.trailers[2:])
        return found, decoder.excess
    if length is not None:
        size = int(length)
        found.body = rest[:size]
        found.complete = len(found.body) == size
        return found, rest[size:]
    if isResponse:
        found.body = rest
        found.complete = ended
        return found, b""
    return found, rest


class MessageReader:
    """
    Reads the messages that come over one connection.
    """

    def __init__(self, socket: MemorySocket) -> None:
        self._socket = socket
        # A message that says its length is not read again and again meanwhile.
        self._needed = 0

    def next(self, *, headOnly: bool = False) -> Message | None:
        """
        The next message that is complete, or will not become so; interim responses are
        left out.

        @param headOnly: it answers a HEAD request.
        @return: C{None}: there is more to come.
        """
        socket = self._socket
        while socket.outgoing:
            if len(socket.outgoing) < self._needed and not socket.finished:
                return None
            data = bytes(socket.outgoing)
            found = readMessage(data, ended=socket.finished, headOnly=headOnly)
            if found is None:
                return None
            heard, rest = found
            if not heard.complete and not socket.finished:
                if heard["Content-Length"] is not None:
                    size = int(heard["Content-Length"] or "0")
                    self._needed = len(data) - len(heard.body) + size
                return None
            self._needed = 0
            socket.outgoing[:] = rest
            if heard.first.startswith("HTTP/1.1 1") and heard.status != 101:
                continue
            return heard
        return None
