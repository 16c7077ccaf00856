"""
What C{persist} remembers: which client is at which server.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from zope.interface import implementer

from ..interfaces import IKept
from .peer import Peer


class Entry:
    """
    One client.

    @ivar peer: its server.  That need not be a member any more.
    @ivar created: when it was first remembered, in seconds.
    @ivar used: when it was last used, in seconds.
    @ivar active: sessions that are using it now.
    """

    __slots__ = ("active", "created", "key", "peer", "used")

    def __init__(self, key: bytes, peer: Peer, now: float) -> None:
        self.key = key
        self.peer = peer
        self.created = self.used = now
        self.active = 0


@implementer(IKept)
class Table:
    """
    The clients of one group.  Nothing here needs a timer: entries that have become too
    old go when they are met, and the number of entries has a limit.

    @ivar hits: sessions that went to the server that was remembered.
    @ivar misses: clients that were new.
    @ivar moved: clients whose server has changed.
    @ivar spilled: sessions that went elsewhere this once.
    @ivar rejected: sessions that were refused.
    @ivar expired: entries that went as they were old.
    @ivar evicted: entries that went as there were too many.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        *,
        size: int = 10000,
        timeout: float = 600.0,
        lifetime: float = 0.0,
        key: str = "",
    ) -> None:
        """
        @param size: how many entries there may be.
        @param timeout: how long an entry may be idle; 0: for ever.
        @param lifetime: how old it may become; 0: any age.
        @param key: what the keys are made of, as configured.
        """
        self.seconds = seconds
        self.hits = self.misses = self.moved = self.spilled = 0
        self.rejected = self.expired = self.evicted = 0
        self._size = size
        self._timeout = timeout
        self._lifetime = lifetime
        self._key = key
        # Each in the order of last use.
        self._idle: OrderedDict[bytes, Entry] = OrderedDict()
        self._busy: OrderedDict[bytes, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def peek(self, key: bytes) -> Entry | None:
        """
        What is remembered of a client, however old.
        """
        return self._busy.get(key) or self._idle.get(key)

    def find(self, key: bytes) -> tuple[Entry | None, bool]:
        """
        What is remembered of a client.

        @return: an entry or C{None}, and: was there one that is too old?
        """
        entry = self.peek(key)
        if entry is None:
            return None, False
        if self._isOld(entry):
            self.remove(entry)
            self.expired += 1
            return None, True
        return entry, False

    def add(self, key: bytes, peer: Peer) -> Entry:
        """
        Remember a client that is new.
        """
        self._expire()
        if len(self) >= self._size:
            self._idle.popitem(False) if self._idle else self._busy.popitem(False)
            self.evicted += 1
        entry = self._idle[key] = Entry(key, peer, self.seconds())
        return entry

    def remove(self, entry: Entry) -> None:
        """
        Forget a client.
        """
        for entries in (self._idle, self._busy):
            if entries.get(entry.key) is entry:
                del entries[entry.key]

    def began(self, entry: Entry) -> None:
        """
        A session uses an entry.
        """
        entry.active += 1
        self._used(entry)

    def ended(self, entry: Entry) -> None:
        """
        A session that has used an entry is over.
        """
        entry.active -= 1
        self._used(entry)

    def _used(self, entry: Entry) -> None:
        entry.used = self.seconds()
        key = entry.key
        if self.peek(key) is not entry:
            # Forgotten meanwhile.
            return
        self._idle.pop(key, None)
        self._busy.pop(key, None)
        (self._busy if entry.active else self._idle)[key] = entry

    def _isOld(self, entry: Entry) -> bool:
        now = self.seconds()
        if self._lifetime and now - entry.created >= self._lifetime:
            return True
        if entry.active or not self._timeout:
            return False
        return now - entry.used >= self._timeout

    def _expire(self) -> None:
        """
        Forget who has been idle for too long: those are the first ones.
        """
        while self._idle:
            entry = next(iter(self._idle.values()))
            if not self._isOld(entry):
                return
            self.remove(entry)
            self.expired += 1

    def statistics(self) -> Mapping[str, int]:
        """
        All counts by name, and C{entries}: how many clients are remembered.
        """
        self._expire()
        counts = "hits misses moved spilled rejected expired evicted"
        found = {name: getattr(self, name) for name in counts.split()}
        return {"entries": len(self), **found}

    def clear(self) -> None:
        """
        Forget everybody.
        """
        self._idle.clear()
        self._busy.clear()

    def adopt(self, previous: Table) -> None:
        """
        Go on with what the table of an earlier configuration remembers, unless its keys
        were made in another way.  Sessions under way count there, not here.
        """
        if previous._key != self._key:
            return
        for entries in (previous._idle, previous._busy):
            for key, old in entries.items():
                if len(self) >= self._size:
                    return
                entry = self._idle[key] = Entry(key, old.peer, old.created)
                entry.used = old.used

    def close(self) -> None:
        """
        Nobody asks any more.
        """
        self.clear()
