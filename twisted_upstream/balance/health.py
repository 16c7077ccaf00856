"""
C{health_scope address}: groups that learn from each other's failures.

What a server's failures tell is kept once for each address, and read by every group
that asks for it, in C{http} and C{stream} alike.  What a group makes of it stays its
own: C{max_fails}, C{fail_timeout}, weights, and attempts under way.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from weakref import WeakValueDictionary

from .peer import Peer, Sockaddr


class Health:
    """
    What is known of an address: the fields of L{Peer} that have these names.
    """

    __slots__ = ("__weakref__", "accessed", "checked", "fails")

    def __init__(self) -> None:
        self.fails = 0
        self.accessed = 0
        self.checked = 0


class SharedPeer(Peer):
    """
    A peer whose health is that of its address.

    @ivar health: shared by all peers with this address.
    """

    __slots__ = ("health",)

    sharesHealth = True

    def __init__(
        self, health: Health, name: str, sockaddr: Sockaddr, **options: Any
    ) -> None:
        # What Peer.__init__() sets must not make others well.
        self.health = Health()
        super().__init__(name, sockaddr, **options)
        self.health = health

    @property
    def fails(self) -> int:
        """
        Failures in the current period, of all groups.
        """
        return self.health.fails

    @fails.setter
    def fails(self, fails: int) -> None:
        self.health.fails = fails

    @property
    def accessed(self) -> int:
        """
        When it failed last, in whole seconds.
        """
        return self.health.accessed

    @accessed.setter
    def accessed(self, accessed: int) -> None:
        self.health.accessed = accessed

    @property
    def checked(self) -> int:
        """
        When the current period began, in whole seconds.
        """
        return self.health.checked

    @checked.setter
    def checked(self, checked: int) -> None:
        self.health.checked = checked


class HealthRecords:
    """
    The L{Health} of each address that a peer has; forgotten with the last peer.
    """

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: MutableMapping[Sockaddr, Health] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._records)

    def makePeer(self, name: str, sockaddr: Sockaddr, **options: Any) -> Peer:
        """
        Make a peer with the health of its address: takes what L{Peer} takes.
        """
        health = self._records.get(sockaddr)
        if health is None:
            health = self._records[sockaddr] = Health()
        return SharedPeer(health, name, sockaddr, **options)
