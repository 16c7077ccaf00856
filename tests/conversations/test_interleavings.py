"""
Requests, failures, time-outs, clients that leave and servers that are replaced, in any
order: in the end nobody is counted as busy.
"""

from __future__ import annotations

import traceback
from random import Random

from tests.support.conversation import (
    Client,
    ConversationCase,
    Server,
    Talk,
    answer,
    chunks,
    get,
    post,
    proxy,
    upstream,
)
from twisted_upstream import plugins
from twisted_upstream.balance.peer import Peer
from twisted_upstream.interfaces import IBalancer
from twisted_upstream.net.sockaddr import sockaddrName

_METHODS = (
    "",
    *(
        f"{words};"
        for words in ("least_conn", "random", "random two", "ip_hash", "hash $uri")
        if words.split()[0] in plugins.find(IBalancer)
    ),
)
_BEHAVIOURS = ("accept", "accept", "accept", "refuse", "wait")
_CONDITIONS = (
    "proxy_next_upstream error timeout http_503 invalid_header non_idempotent;"
)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Interleaving:
    """
    One run: what happens is drawn.
    """

    def __init__(self, talk: Talk, random: Random, ignoring: bool) -> None:
        """
        @param ignoring: requests go on although their clients have left.
        """
        self._talk = talk
        self._random = random
        self._clients: list[Client] = []
        self._servers: list[Server] = []
        self._number = 3
        self._ignoring = ignoring

    def run(self, steps: int) -> None:
        """
        Do that many things.
        """
        things = (
            self.request,
            self.request,
            self.request,
            self.respond,
            self.respond,
            self.respond,
            self.fail,
            self.leave,
            self.change,
            self.replace,
            self.wait,
            self.decide,
            self.stall,
        )
        for _ in range(steps):
            self._random.choice(things)()
            self._collect()

    def _collect(self) -> None:
        while self._talk.dialer.accepted:
            self._servers.append(self._talk.server())
        self._clients = [c for c in self._clients if not c.socket.closed]
        self._servers = [s for s in self._servers if not s.socket.closed]

    def request(self) -> None:
        """
        A request, on an old connection or on a new one.
        """
        random = self._random
        if self._clients and random.random() < 0.4:
            client = random.choice(self._clients)
        else:
            client = self._talk.client()
            self._clients.append(client)
        data = random.choice(
            (
                get("/a"),
                get("/b"),
                post(b"body"),
                post(b"body")[:-2],
                get("/c") + get("/d"),
            )
        )
        client.sends(data)

    def respond(self) -> None:
        """
        A server answers, in full or in part.
        """
        if not self._servers:
            return
        data = self._random.choice(
            (
                answer(b"hello"),
                answer(b"hello"),
                answer(b"hello", "Connection: close"),
                answer(b"hello")[:-3],
                answer(b"x" * 200000),
                answer(b"busy", status="503 Busy"),
                answer(b"", "X-Accel-Redirect: /other"),
                _CHUNKED + chunks(b"a", b"b"),
                _CHUNKED + b"zz",
                b"nonsense\r\n",
                b"HTTP/1.1 200 OK\r\n\x00\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
            )
        )
        self._random.choice(self._servers).sends(data)

    def fail(self) -> None:
        """
        A server leaves.
        """
        if self._servers:
            server = self._random.choice(self._servers)
            self._random.choice((server.hangsUp, server.resets, server.ends))()

    def leave(self) -> None:
        """
        A client leaves.
        """
        if self._clients:
            client = self._random.choice(self._clients)
            self._random.choice((client.hangsUp, client.resets, client.ends))()

    def change(self) -> None:
        """
        A server changes its mind about accepting.
        """
        [group] = self._talk.http.groups
        peer = self._random.choice(group.peers.peers)
        self._talk.dialer.behaviour[peer.name] = self._random.choice(_BEHAVIOURS)

    def replace(self) -> None:
        """
        The group gets other servers; some stay.
        """
        [group] = self._talk.http.groups
        peers = group.peers
        stay = [peer for peer in peers.peers if self._random.random() < 0.6]
        self._number += 1
        sockaddr = (f"10.0.1.{self._number % 200}", 80)
        new = Peer(sockaddrName(sockaddr), sockaddr, server="new")
        group.replacePeers(peers.successor([*stay, new], peers.next))

    def wait(self) -> None:
        """
        Time passes.
        """
        self._talk.passes(self._random.choice((0.1, 1.0, 3.0, 11.0, 61.0)))

    def decide(self) -> None:
        """
        A server that was asked to accept does, or does not.
        """
        if self._talk.dialer.unanswered:
            if self._random.random() < 0.5:
                self._servers.append(self._talk.accepts())
            else:
                self._talk.refuses()

    def stall(self) -> None:
        """
        A client stops taking, or goes on.
        """
        if self._clients:
            client = self._random.choice(self._clients)
            self._random.choice(
                (client.stalls, client.takes, lambda: client.takes(5000))
            )()

    def end(self) -> None:
        """
        Everybody leaves; nothing may be left.
        """
        for client in self._clients:
            client.resets()
        if self._ignoring:
            self._talk.passes(200)


class InterleavingTests(ConversationCase):
    """
    Three hundred runs.
    """

    def interleave(self, seeds: range, more: str) -> None:
        """
        One run for each of C{seeds}.
        """
        failures: list[str] = []
        for seed in seeds:
            random = Random(seed)
            method = random.choice(_METHODS)
            backup = "" if method and not method.startswith("least") else " backup"
            servers = upstream(
                "10.0.0.1:80 max_fails=2 fail_timeout=5s",
                "10.0.0.2:80 max_conns=2",
                f"10.0.0.3:80{backup}",
                more=random.choice(("", "keepalive 0;", "keepalive 1;")),
            )
            # The balancer comes first: what follows obeys it.
            servers = servers.replace("{", "{ " + method, 1)
            talk = Talk(
                self,
                proxy(
                    f"{_CONDITIONS} proxy_read_timeout 10s; proxy_connect_timeout 2s;"
                    f" send_timeout 10s; {more}",
                    http=servers,
                    server="client_body_timeout 5s; keepalive_timeout 20s;",
                ),
            )
            run = Interleaving(talk, random, "ignore" in more)
            try:
                run.run(60)
                run.end()
                self.assertEqual(talk.http.problems(), [])
                talk.passes(200)
                self.assertEqual(talk.http.problems(), [])
                self.assertEqual(talk.http.shutDown(), [])
            except Exception as e:
                log = "\n".join(talk.log.lines[-10:])
                where = "".join(traceback.format_tb(e.__traceback__)[-2:])
                failures.append(f"seed {seed} ({method!r}): {e!r}\n{where}{log}")
        self.assertEqual(len(failures), 0, "\n".join(failures[:3]))

    def test_buffered(self) -> None:
        """
        With buffering of requests and responses.
        """
        self.interleave(range(100), "")

    def test_unbuffered(self) -> None:
        """
        Without.
        """
        self.interleave(
            range(100, 200), "proxy_buffering off; proxy_request_buffering off;"
        )

    def test_ignoringAborts(self) -> None:
        """
        With clients whose leaving is ignored.
        """
        self.interleave(
            range(200, 300), "proxy_ignore_client_abort on; proxy_max_temp_file_size 0;"
        )
