"""
A client on a raw socket: it plays a list of steps and keeps what comes back.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field

#: Seconds after which a connection that neither speaks nor ends is called open.
PATIENCE = 5.0


@dataclass(frozen=True)
class Wait:
    """
    Do nothing for some seconds.
    """

    seconds: float


@dataclass(frozen=True)
class Answers:
    """
    Read until so many responses, interim ones not counted, are complete.
    """

    count: int


@dataclass(frozen=True)
class End:
    """
    Send no more, but go on reading.
    """


@dataclass(frozen=True)
class Abort:
    """
    Close the connection without reading further.
    """


Step = bytes | Wait | Answers | End | Abort


class Play:
    """
    One client connection: what it sends, and when.

    After the last step it reads until the connection is closed; if the last step is
    L{Answers}, it only looks whether the connection is closed at once.
    """

    def __init__(
        self,
        name: str,
        *steps: Step,
        port: str = "front",
        heads: frozenset[int] | None = None,
    ) -> None:
        """
        @param name: for messages.
        @param port: the name of the port to connect to.
        @param heads: which responses, from 0, answer a HEAD; C{None}: the first, if
            the first bytes sent are those of a HEAD.
        """
        self.name = name
        self.steps = steps
        self.port = port
        if heads is None:
            first = next((step for step in steps if isinstance(step, bytes)), b"")
            heads = frozenset({0}) if first.startswith(b"HEAD ") else frozenset()
        self.heads = heads


def get(
    target: str,
    *fields: str,
    version: str = "1.1",
    name: str | None = None,
    port: str = "front",
) -> Play:
    """
    A plain GET that asks for the connection to be closed.
    """
    return request("GET", target, *fields, version=version, name=name, port=port)


def request(
    method: str,
    target: str,
    *fields: str,
    body: bytes = b"",
    version: str = "1.1",
    name: str | None = None,
    port: str = "front",
) -> Play:
    """
    A plain request that asks for the connection to be closed; C{Host} and
    C{Content-Length} are added when C{fields} have none.
    """
    lines = [f"{method} {target} HTTP/{version}"]
    have = {line.partition(":")[0].lower() for line in fields}
    if "host" not in have:
        lines.append("Host: example.com")
    lines.extend(fields)
    if body and not have & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    if "connection" not in have:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    shown = name or " ".join([lines[0], *fields])
    return Play(shown, head + body, port=port)


@dataclass
class Answer:
    """
    One response.

    @ivar head: status line and fields as received, a list of lines.
    @ivar body: without its framing.
    @ivar framing: C{length}, C{chunked}, C{close} or C{none}.
    @ivar trailers: lines after the last chunk.
    @ivar complete: nothing was missing.
    """

    head: list[bytes]
    body: bytes = b""
    framing: str = "none"
    trailers: list[bytes] = field(default_factory=list)
    complete: bool = True

    @property
    def status(self) -> int:
        """
        The status code; 0 when there is none.
        """
        found = re.match(rb"HTTP/1\.\d (\d{3})", self.head[0])
        return int(found[1]) if found else 0


@dataclass
class Transcript:
    """
    What a play brought back.

    @ivar answers: the responses that could be read.
    @ivar rest: bytes after them: of a tunnel, or no HTTP.
    @ivar ending: C{closed} by the server, C{open}, or C{aborted} by the play.
    """

    answers: list[Answer]
    rest: bytes
    ending: str


def parseAnswers(
    data: bytes, heads: frozenset[int], ended: bool
) -> tuple[list[Answer], bytes]:
    """
    Split what a server sent into responses.

    @param heads: which of the final responses, from 0, have no body.
    @param ended: no more bytes will come.
    @return: the responses, and what follows them.
    """
    answers: list[Answer] = []
    final = 0
    while data.startswith(b"HTTP/"):
        end = data.find(b"\r\n\r\n")
        if end < 0:
            break
        answer = Answer(data[:end].split(b"\r\n"))
        rest = data[end + 4 :]
        status = answer.status
        answers.append(answer)
        if status == 101:
            return answers, rest
        if status >= 200:
            bodyless = final in heads or status in (204, 304)
            final += 1
            if not bodyless:
                rest = _takeBody(answer, rest, ended)
        data = rest
        if not answer.complete:
            break
    return answers, data


def _takeBody(answer: Answer, data: bytes, ended: bool) -> bytes:
    fields = b"\r\n".join(answer.head).lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        answer.framing = "chunked"
        return _takeChunks(answer, data)
    length = re.search(rb"\r\ncontent-length: *(\d+)", fields)
    if length:
        count = int(length[1])
        answer.framing = "length"
        answer.body = data[:count]
        answer.complete = len(data) >= count
        return data[count:]
    answer.framing = "close"
    answer.body = data
    answer.complete = ended
    return b""


def _takeChunks(answer: Answer, data: bytes) -> bytes:
    pieces: list[bytes] = []
    answer.complete = False
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            break
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            break
        if size == 0:
            answer.body = b"".join(pieces)
            while True:
                line, found, rest = rest.partition(b"\r\n")
                if not found:
                    return data
                if not line:
                    answer.complete = True
                    return rest
                answer.trailers.append(line)
        if len(rest) < size + 2:
            pieces.append(rest[:size])
            data = b""
            break
        pieces.append(rest[:size])
        data = rest[size + 2 :]
    answer.body = b"".join(pieces)
    return data


def perform(play: Play, port: int) -> Transcript:
    """
    Play it against a port of this machine.
    """
    received = b""
    ending = "open"
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for step in play.steps:
                if isinstance(step, bytes):
                    try:
                        connection.sendall(step)
                    except (BrokenPipeError, ConnectionResetError):
                        continue  # what it sent before is still to be read
                elif isinstance(step, Wait):
                    time.sleep(step.seconds)
                elif isinstance(step, End):
                    connection.shutdown(socket.SHUT_WR)
                elif isinstance(step, Answers):
                    received, ending = _readAnswers(
                        connection, received, play, step.count
                    )
                else:
                    return Transcript([], b"", "aborted")
                if ending != "open":
                    break
            if ending == "open":
                counted = bool(play.steps) and isinstance(play.steps[-1], Answers)
                connection.settimeout(0.03 if counted else PATIENCE)
                while data := connection.recv(65536):
                    received += data
                ending = "closed"
        except TimeoutError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            # Whether closing with unread bytes shows as a reset is a race.
            ending = "closed"
    answers, rest = parseAnswers(received, play.heads, ending != "open")
    return Transcript(answers, rest, ending)


def _readAnswers(
    connection: socket.socket, received: bytes, play: Play, count: int
) -> tuple[bytes, str]:
    """
    Read until C{count} final responses are complete in all that was received.
    """
    while True:
        answers, _ = parseAnswers(received, play.heads, False)
        final = [
            a for a in answers if a.complete and (a.status >= 200 or a.status == 101)
        ]
        if len(final) >= count:
            return received, "open"
        data = connection.recv(65536)
        if not data:
            return received, "closed"
        received += data
