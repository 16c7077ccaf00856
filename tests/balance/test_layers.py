"""
Tests for L{twisted_upstream.balance.layers}.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.balance.layers import Layer, LayerGetter
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IClient, IPeerGetter, IPeerInit

from .rules import Somebody


class Wrapping(Layer):
    """
    Wraps every request's getter.
    """

    def initPeer(self, client: IClient) -> LayerGetter:
        return LayerGetter(super().initPeer(client))


class LayersTests(SynchronousTestCase):
    """
    Two layers around round robin.
    """

    def setUp(self) -> None:
        self.peers = [Peer(name, (name, 80), sid=name.encode()) for name in "abc"]
        self.init = Wrapping(Wrapping(RoundRobin()))
        self.init.initUpstream(
            Peers("g", self.peers, seconds=Clock().seconds, random=Random(1))
        )
        self.getter = self.init.initPeer(Somebody())

    def test_interfaces(self) -> None:
        """
        Layers provide what the driver asks for.
        """
        verifyObject(IPeerInit, self.init)
        verifyObject(IPeerGetter, self.getter)

    def test_asIfNotThere(self) -> None:
        """
        Choosing, counting and failing are those of what is wrapped.
        """
        self.getter.limitTries(2)
        self.assertEqual(self.getter.tries, 2)
        peer = self.getter.getPeer()
        assert peer is self.peers[0]
        self.assertEqual(peer.conns, 1)
        self.getter.freePeer(self.peers[0], Outcome.FAILED)
        self.assertEqual((self.peers[0].conns, self.peers[0].fails), (0, 1))
        self.assertEqual(self.getter.tries, 1)
        self.getter.forgiveTry()
        self.assertEqual(self.getter.tries, 2)

    def test_milestones(self) -> None:
        """
        What an attempt comes to is passed on.
        """
        peer = self.peers[0]
        peer.fails = peer.checked = 1
        self.getter.notifyPeer(peer, "connect", 0.1)
        self.assertEqual(peer.fails, 0)

    def test_hint(self) -> None:
        """
        A hint given outside reaches what chooses.
        """
        self.assertIsNone(self.getter.hint)
        self.getter.hint = b"c"
        self.assertEqual(self.getter.hint, b"c")
        self.assertIs(self.getter.getPeer(), self.peers[2])

    def test_untouched(self) -> None:
        """
        A layer that does not concern a request leaves no trace in it.
        """
        inner = RoundRobin()
        layer = Layer(inner)
        layer.initUpstream(Peers("g", self.peers, seconds=lambda: 0, random=Random(1)))
        self.assertNotIsInstance(layer.initPeer(Somebody()), LayerGetter)
