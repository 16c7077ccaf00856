"""
Tests for L{twisted_upstream.upstream.group}.
"""

from __future__ import annotations

from collections import Counter

from tests.balance.rules import Somebody
from tests.support.conversation import (
    ConversationCase,
    answer,
    get,
    proxy,
    upstream,
)
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome, Peer
from twisted_upstream.net.sockaddr import sockaddrName
from twisted_upstream.upstream.group import UpstreamGroup


class ReplacePeersTests(ConversationCase):
    """
    Membership that changes while requests are under way.
    """

    def test_underWay(self) -> None:
        """
        A request keeps the server that it began with; the next has a new one.
        """
        talk = self.talk(proxy())
        [group] = talk.http.groups
        client = talk.client()
        client.sends(get())
        old = talk.server()
        sockaddr = ("10.0.0.2", 80)
        peer = Peer(sockaddrName(sockaddr), sockaddr)
        group.replacePeers(group.peers.successor([peer]))
        old.sends(answer(b"old"))
        client.hears(200, b"old")
        client.sends(get())
        new = talk.server()
        self.assertEqual(new.name, "10.0.0.2:80")
        new.sends(answer(b"new"))
        client.hears(200, b"new")
        talk.isQuiet()


class ChangeTests(ConversationCase):
    """
    Members that change while they stay.
    """

    def test_setDown(self) -> None:
        """
        Who waits is served by a server that takes part again; who comes later finds it,
        too, until it is down once more.
        """
        for servers in (
            ("10.0.0.1 down", "10.0.0.2 down"),
            ("10.0.0.2 down", "10.0.0.1 down backup"),
            tuple(f"10.0.0.{number} down" for number in range(1, 20)),
        ):
            talk = self.talk(proxy(http=upstream(*servers, more="queue 5;")))
            [group] = talk.http.groups
            [peer] = [
                peer
                for peers in group.members()
                for peer in peers
                if peer.name == "10.0.0.1:80"
            ]
            client = talk.client()
            client.sends(get())
            talk.passes(1)
            talk.noServer()
            group.setDown({peer: 0})
            talk.passes(0)
            for _ in range(2):
                server = talk.server()
                self.assertEqual(server.name, "10.0.0.1:80")
                server.sends(answer(b"x", "Connection: close"))
                client.hears(200, b"x")
                client.sends(get())
            server = talk.server()
            group.setDown({peer: DOWN})
            server.sends(answer(b"x", "Connection: close"))
            client.hears(200, b"x")
            client.sends(get())
            talk.passes(1)
            talk.noServer()
            talk.passes(60)
            client.hears(502)
            talk.isQuiet()

    def test_drainAndBack(self) -> None:
        """
        Draining is a way of being down.
        """
        talk = self.talk(proxy(http=upstream("10.0.0.1", "10.0.0.2", more="queue 5;")))
        [group] = talk.http.groups
        first, second = group.peers.peers
        group.setDown({first: DRAINING, second: DOWN})
        client = talk.client()
        client.sends(get())
        talk.noServer()
        group.setDown({first: 0})
        talk.passes(0)
        talk.server().sends(answer(b"x"))
        client.hears(200, b"x")
        talk.isQuiet()

    def test_setWeight(self) -> None:
        """
        From then on each server is chosen as often as it weighs, in the middle of turns
        as well.
        """
        for count in (3, 20):
            servers = [f"10.0.1.{number}" for number in range(count)]
            talk = self.talk(proxy(http=upstream(*servers, more="zone z 64k;")))
            [group] = talk.http.groups

            def picks(number: int, group: UpstreamGroup = group) -> list[Peer]:
                found = []
                for _ in range(number):
                    getter = group.initPeer(Somebody())
                    peer = getter.getPeer()
                    assert isinstance(peer, Peer)
                    getter.freePeer(peer, Outcome.OK)
                    found.append(peer)
                return found

            first, *_, last = group.peers.peers
            picks(2)
            group.setWeight({first: 5, last: 3})
            # What they were ahead by, or behind, evens out.
            picks(3 * (count + 6))
            spread = Counter(picks(count + 6))
            self.assertEqual((spread[first], spread[last]), (5, 3))
            self.assertEqual(sum(spread.values()) - 8, count - 2)
            self.assertEqual(len(spread), count)
            self.assertEqual(group.peers.totalWeight, count + 6)
