"""
Back ends on raw sockets that answer from a script and remember what they got.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tests.support.nginx import reservePort

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Reply:
    """
    What a back end does with one request.

    @ivar parts: bytes to send, and between them what to wait for: seconds, or an event
        (30 seconds at most).
    @ivar then: C{"next"} waits for another request; C{"close"} ends the connection,
        C{"reset"} ends it rudely; C{"echo"} sends back what comes, in capitals, until
        the other side ends.
    @ivar early: answer when the head is there, and read the body afterwards.
    """

    parts: tuple[bytes | float | threading.Event, ...]
    then: Literal["next", "close", "reset", "echo"] = "next"
    early: bool = False


#: Gets the head of a request and how many the back end has had before.
Answerer = Callable[[bytes, int], Reply]


def response(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> Reply:
    """
    A counted response; the connection stays.
    """
    head = b"\r\n".join(
        [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    )
    return Reply((head + b"\r\n\r\n" + body,))


def raw(
    *parts: bytes | float, then: Literal["next", "close", "reset", "echo"] = "close"
) -> Reply:
    """
    These very bytes; the connection is closed unless told otherwise.
    """
    return Reply(parts, then)


def always(reply: Reply) -> Answerer:
    """
    The same reply to every request.
    """
    return lambda head, count: reply


def inTurn(*replies: Reply) -> Answerer:
    """
    One after the other; the last is repeated.
    """
    return lambda head, count: replies[min(count, len(replies) - 1)]


def byTarget(replies: Mapping[str, Reply]) -> Answerer:
    """
    By the request's target, without arguments; C{""} is for all others.
    """

    def answer(head: bytes, count: int) -> Reply:
        words = head.split(b" ", 2)
        target = words[1].partition(b"?")[0].decode("latin-1") if len(words) > 1 else ""
        return replies.get(target) or replies.get("") or response(b"no such script")

    return answer


@dataclass(frozen=True)
class Seen:
    """
    One request as it reached a back end.

    @ivar connection: counts the back end's connections from 1.
    @ivar data: every byte of it; what came on a connection without completing a
        request is one C{Seen} as well.
    """

    backend: str
    connection: int
    data: bytes


class ScriptedBackend:
    """
    A listening socket with a thread for each connection.
    """

    def __init__(self, name: str, answer: Answerer, record: list[Seen]) -> None:
        """
        @param record: gets what arrives; shared by the back ends of one run, so its
            order is the order of all of them.
        """
        self._name = name
        self._answer = answer
        self._record = record
        self._lock = threading.Lock()
        self._count = 0
        self._busy = 0
        self._open: set[socket.socket] = set()
        self._listener = reservePort()
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """
        Is some request half read or half answered?
        """
        return self._busy > 0

    def stop(self) -> None:
        """
        Close everything.
        """
        # close() alone does not wake a thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side has ended it; its thread will notice

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            with self._lock:
                self._open.add(connection)
            threading.Thread(
                target=self._converse, args=(connection, number), daemon=True
            ).start()

    def _converse(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            buffer = b""
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                self._busy += 1
                try:
                    buffer, going = self._request(connection, number, buffer + data)
                finally:
                    self._busy -= 1
                if not going:
                    return
        except OSError:
            pass  # what was received is recorded, and that is all that counts
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _request(
        self, connection: socket.socket, number: int, buffer: bytes
    ) -> tuple[bytes, bool]:
        """
        Read one request that has begun, answer it.

        @return: what came after it, and whether another may follow.
        """
        while b"\r\n\r\n" not in buffer:
            data = connection.recv(65536)
            if not data:
                self._note(number, buffer)
                return b"", False
            buffer += data
        head = buffer[: buffer.index(b"\r\n\r\n") + 4]
        with self._lock:
            reply = self._answer(head, self._count)
            self._count += 1
        if head.startswith(b"HEAD "):
            reply = _withoutBody(reply)
        if reply.early:
            self._send(connection, reply)
        end = _requestEnd(buffer, len(head))
        while end is None or end > len(buffer):
            data = connection.recv(65536)
            if not data:
                self._note(number, buffer)
                return b"", False
            buffer += data
            end = _requestEnd(buffer, len(head))
        self._note(number, buffer[:end])
        if not reply.early:
            self._send(connection, reply)
        if reply.then == "echo":
            self._echo(connection, number, buffer[end:])
        elif reply.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return buffer[end:], reply.then == "next"

    def _send(self, connection: socket.socket, reply: Reply) -> None:
        for part in reply.parts:
            if isinstance(part, bytes):
                connection.sendall(part)
            elif isinstance(part, threading.Event):
                part.wait(30)
            else:
                time.sleep(part)

    def _echo(self, connection: socket.socket, number: int, data: bytes) -> None:
        heard = data
        while True:
            if data:
                connection.sendall(data.upper())
            data = connection.recv(65536)
            if not data:
                break
            heard += data
        self._note(number, heard)

    def _note(self, number: int, data: bytes) -> None:
        with self._lock:
            self._record.append(Seen(self._name, number, data))


def _withoutBody(reply: Reply) -> Reply:
    """
    What a back end answers to HEAD, if C{reply} begins with a whole head.
    """
    if not reply.parts or not isinstance(reply.parts[0], bytes):
        return reply
    head, end, _ = reply.parts[0].partition(b"\r\n\r\n")
    return replace(reply, parts=(head + end,)) if end else reply


def _requestEnd(buffer: bytes, headLength: int) -> int | None:
    """
    Where the request at the start of C{buffer} ends; C{None}: not known yet.
    """
    head = buffer[:headLength]
    if _CHUNKED.search(head):
        # No trailers in these tests.
        if buffer.startswith(b"0\r\n\r\n", headLength):
            return headLength + 5
        found = buffer.find(b"\r\n0\r\n\r\n", headLength)
        return None if found < 0 else found + 7
    length = _LENGTH.search(head)
    return headLength + int(length[1]) if length else headLength
