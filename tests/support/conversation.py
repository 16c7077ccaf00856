"""
Conversations: what clients and servers say to the proxy, and what they hear.

    talk = self.talk(SINGLE)
    client = talk.client()
    client.sends(get("/"))
    server = talk.server()
    server.hears("GET / HTTP/1.1")
    server.sends(answer(b"hello"))
    client.hears(200, b"hello")

The first lines of most are C{client, server = talk.reaches(get("/"))}.

When the test ends, nothing may be left over: see L{MemoryHTTP.shutDown}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.testing.messages import (
    Message,
    answer,
    chunks,
    get,
    message,
    post,
    readMessage,
)

from .memory import Dialed, MemoryHTTP, MemorySocket

#: How many seconds of a response's time-outs matter to most tests.
Cut = Callable[[bytes], Iterable[bytes]]

_GET = get()


def whole(data: bytes) -> Iterable[bytes]:
    """
    No cut at all.
    """
    return (data,)


class Speaker:
    """
    One side of a connection that the test plays.
    """

    def __init__(self, talk: Talk, socket: MemorySocket) -> None:
        self._talk = talk
        self.socket = socket

    def sends(self, data: bytes) -> None:
        """
        Send C{data}, cut as the conversation wants it.
        """
        for piece in self._talk.cut(data):
            self.socket.deliver(piece)
            self._talk.settle()

    def ends(self) -> None:
        """
        End the output; hear on.
        """
        self.socket.end()
        self._talk.settle()

    def hangsUp(self) -> None:
        """
        Close the connection.
        """
        self.socket.hangUp()
        self._talk.settle()

    def resets(self) -> None:
        """
        Reset the connection.
        """
        self.socket.reset()
        self._talk.settle()

    def stalls(self) -> None:
        """
        Take nothing any more.
        """
        self.socket.room = 0

    def takes(self, count: int | None = None) -> None:
        """
        Take C{count} more bytes, or whatever comes.
        """
        if count is None:
            self.socket.room = None
        else:
            self.socket.room = (self.socket.room or 0) + count
        self._talk.settle()

    def raw(self) -> bytes:
        """
        What was heard and not looked at yet.
        """
        data = bytes(self.socket.outgoing)
        self.socket.outgoing.clear()
        return data

    def message(self, headOnly: bool = False) -> Message:
        """
        The next message.
        """
        data = bytes(self.socket.outgoing)
        found = readMessage(data, ended=self.socket.finished, headOnly=headOnly)
        if found is None:
            log = "\n".join(self._talk.log.lines)
            raise AssertionError(f"no message in {data!r}; the log:\n{log}")
        heard, rest = found
        self.socket.outgoing[:] = rest
        return heard

    def isSilent(self) -> None:
        """
        Nothing was heard that was not looked at.
        """
        self._talk.case.assertEqual(bytes(self.socket.outgoing), b"")

    def isClosed(self) -> None:
        """
        The proxy has closed the connection.
        """
        self._talk.case.assertTrue(self.socket.closed, "the connection is open")

    def isOpen(self) -> None:
        """
        The proxy has not closed the connection, nor ended its output.
        """
        self._talk.case.assertFalse(self.socket.finished, "the connection is closed")

    def isEnded(self) -> None:
        """
        The proxy has ended its output.
        """
        self._talk.case.assertTrue(self.socket.finished, "the output has not ended")


class Client(Speaker):
    """
    A client.
    """

    def hears(
        self, status: int, body: bytes | None = None, *, headOnly: bool = False
    ) -> Message:
        """
        The next response has this status and body, and is complete.
        """
        heard = self.message(headOnly)
        case = self._talk.case
        case.assertEqual((heard.status, heard.complete), (status, True), repr(heard))
        if body is not None:
            case.assertEqual(heard.body, body)
        return heard

    def hearsPart(self, status: int, body: bytes) -> Message:
        """
        The next response begins so, but is not complete.
        """
        heard = self.message()
        case = self._talk.case
        case.assertEqual((heard.status, heard.complete), (status, False), repr(heard))
        case.assertEqual(heard.body, body)
        return heard


class Server(Speaker):
    """
    A server, on one connection.

    @ivar name: its address.
    """

    def __init__(self, talk: Talk, dialed: Dialed) -> None:
        assert dialed.socket is not None
        super().__init__(talk, dialed.socket)
        self.dialed = dialed
        self.name = dialed.peer.name

    def hears(self, first: str, body: bytes = b"") -> Message:
        """
        The next request has this first line and body.
        """
        heard = self.message()
        case = self._talk.case
        case.assertEqual((heard.first, heard.complete), (first, True), repr(heard))
        case.assertEqual(heard.body, body)
        return heard


class Talk:
    """
    A conversation with one C{http} block.

    @ivar http: the block.
    @ivar cut: how everything that is sent is cut into packets.
    """

    def __init__(self, case: SynchronousTestCase, text: str, cut: Cut = whole) -> None:
        self.case = case
        self.prefix = os.path.abspath(case.mktemp())
        self.http = MemoryHTTP(text, self.prefix)
        self.dialer = self.http.dialer
        self.log = self.http.log
        self.cut = cut

    def client(self, index: int = 0) -> Client:
        """
        A client connects.
        """
        return Client(self, self.http.connect(index))

    def server(self) -> Server:
        """
        The server that was connected to next.
        """
        if not self.dialer.accepted:
            log = "\n".join(self.log.lines)
            raise AssertionError(f"no server was connected to; the log:\n{log}")
        return Server(self, self.dialer.accepted.popleft())

    def asks(self, request: bytes = _GET) -> Client:
        """
        A client connects and sends C{request}.
        """
        client = self.client()
        client.sends(request)
        return client

    def reaches(self, request: bytes = _GET) -> tuple[Client, Server]:
        """
        The same, and a server is connected to for it.
        """
        return self.asks(request), self.server()

    def noServer(self) -> None:
        """
        No server was connected to since the last that was looked at.
        """
        self.case.assertEqual([each.peer.name for each in self.dialer.accepted], [])

    def waiting(self) -> Dialed:
        """
        The connection that is being made and that C{"wait"} has left to the test.
        """
        return self.dialer.unanswered[-1]

    def accepts(self) -> Server:
        """
        The server accepts the connection that is being made.
        """
        dialed = self.dialer.unanswered.pop()
        dialed.accept()
        self.settle()
        return Server(self, dialed)

    def refuses(self, *arguments: Any) -> None:
        """
        The server refuses the connection that is being made.
        """
        self.dialer.unanswered.pop().refuse(*arguments)
        self.settle()

    def withoutTempFiles(self, do: Callable[[], object]) -> None:
        """
        Call C{do} while no temporary file can be made.
        """
        paths = self.http.build.tempPaths
        for path in paths:
            os.rename(path, path + ".away")
        try:
            do()
        finally:
            for path in paths:
                os.rename(path + ".away", path)

    def passes(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.http.reactor.passes(seconds)

    def settle(self) -> None:
        """
        Everything happens that can happen now.
        """
        self.http.reactor.settle()

    def isQuiet(self) -> None:
        """
        No request is under way: nothing is held for one.
        """
        self.case.assertEqual(self.http.problems(), [])

    def isLogged(self, text: str) -> None:
        """
        The error log has a line with C{text}.
        """
        log = "\n".join(self.log.lines)
        self.case.assertTrue(self.log.has(text), f"{text!r} is not in the log:\n{log}")

    def accessLog(self) -> list[str]:
        """
        The lines of the access log.
        """
        path = os.path.join(self.prefix, "logs", "access.log")
        with open(path) as file:
            return file.read().splitlines()

    def end(self) -> None:
        """
        Close everything: nothing may be left over.
        """
        self.case.assertEqual(self.http.shutDown(), [])


def configuration(server: str, http: str = "", access: str = "access_log off;") -> str:
    """
    A configuration with one virtual server.

    @param server: what stands in it.
    @param http: what stands before it.
    """
    return f"""
        events {{}}
        http {{
            {access}
            {http}
            server {{
                listen 127.0.0.1:8080;
                server_name example.com;
                {server}
            }}
        }}
    """


def upstream(*servers: str, more: str = "") -> str:
    """
    An C{upstream u} with these C{server} lines.
    """
    lines = " ".join(f"server {each};" for each in servers)
    return f"upstream u {{ {lines} {more} }}"


def proxy(
    more: str = "", *, http: str | None = None, server: str = "", **other: Any
) -> str:
    """
    A configuration that passes everything to C{upstream u}.

    @param more: what stands in C{location /}.
    @param http: what stands in C{http}; a group of one server where nothing is said.
    @param server: what stands in C{server}.
    """
    if http is None:
        http = upstream("10.0.0.1:80")
    location = f"location / {{ proxy_pass http://u; {more} }}"
    return configuration(server + location, http, **other)


class ConversationCase(SynchronousTestCase):
    """
    A test case of conversations.
    """

    def talk(self, text: str) -> Talk:
        """
        Begin a conversation; after the test nothing may be left over.
        """
        talk = Talk(self, text)
        self.addCleanup(talk.end)
        return talk


__all__ = [
    "Client",
    "ConversationCase",
    "Cut",
    "Message",
    "Server",
    "Speaker",
    "Talk",
    "answer",
    "chunks",
    "configuration",
    "get",
    "message",
    "post",
    "proxy",
    "readMessage",
    "upstream",
    "whole",
]
