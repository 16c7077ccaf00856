"""
C{persist}: a client stays with the server that it came to, whatever the method would
choose now; it moves when that server is full or fails, and stays where it has moved to.

nginx: no source; the private module that the directive is modelled on wraps
C{init_upstream} and C{peer.init} as C{ngx_http_upstream_sticky_module.c} does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import md5
from typing import Any

from ..interfaces import IClient, IPeerGetter, IPeerInit
from .getter import PeerGetter
from .layers import Layer, LayerGetter
from .peer import DRAINING, Outcome, Peer
from .peers import Peers
from .persist_table import Entry, Table

#: What is done when the remembered server cannot be had.
MOVE, SPILL, WAIT, REJECT = "move", "spill", "wait", "reject"

#: How far an attempt must have come for its server to be remembered: the milestones
#: of C{notifyPeer} that prove it.  HTTP tells of the response's head only.
MILESTONES: Mapping[str, frozenset[str]] = {
    "select": frozenset(),
    "connect": frozenset(("connect", "first_byte", "header")),
    "first_byte": frozenset(("first_byte", "header")),
}

#: Keys that are longer are not kept as they are.
_LONGEST = 64


class Persist(Layer):
    """
    Remembers the servers of one group's clients.

    @ivar table: what is remembered.
    @ivar onFull: what is done when the remembered server has C{max_conns} attempts.
    @ivar onFail: what is done when it is down, has failed, or fails.
    @ivar milestones: when an attempt counts; empty: at once.
    @ivar members: the servers of today.
    """

    __slots__ = (
        "_failback",
        "_key",
        "_mask",
        "_primaries",
        "_probe",
        "members",
        "milestones",
        "onFail",
        "onFull",
        "table",
    )

    _probe: PeerGetter

    def __init__(
        self,
        inner: IPeerInit,
        key: Callable[[IClient], bytes],
        table: Table,
        *,
        onFull: str = MOVE,
        onFail: str = MOVE,
        commit: str = "connect",
        failback: bool = False,
        mask: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """
        @param key: what tells one client from another; called once per request.
        @param commit: a key of L{MILESTONES}.
        @param failback: leave a backup server as soon as another one is available.
        @param mask: makes networks of keys that are addresses.
        """
        super().__init__(inner)
        self.table = table
        self.onFull = onFull
        self.onFail = onFail
        self.milestones = MILESTONES[commit]
        self._key = key
        self._failback = failback
        self._mask = mask
        self._primaries: frozenset[Peer] = frozenset()
        self.members: dict[str | Peer, Peer] = {}

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        super().initUpstream(peers)
        self._probe = PeerGetter(peers)
        self._primaries = frozenset(peers.peers)
        backups = () if peers.next is None else peers.next.peers
        members: dict[str | Peer, Peer] = {}
        for peer in reversed((*peers.peers, *backups)):
            members[peer] = members[peer.name] = peer
        self.members = members

    def initPeer(self, client: IClient) -> IPeerGetter:
        """
        Begin one request or session.
        """
        inner = self.inner.initPeer(client)
        text = self._key(client)
        if not text:
            return inner
        key = text if self._mask is None else self._mask(text)
        if len(key) > _LONGEST:
            key = md5(key, usedforsecurity=False).hexdigest().encode()
        milestones = self.milestones
        if getattr(client, "protocol", b"") == b"UDP":
            # Nothing would prove that anybody listens there.
            milestones = MILESTONES["select"]
        getter = PersistGetter(inner, self, key, milestones)
        client.notes[Persist] = getter
        return getter

    def find(self, entry: Entry) -> Peer | None:
        """
        The remembered server, if it is a member: the same, or one that has its address.
        """
        peer = entry.peer
        return self.members.get(peer) or self.members.get(peer.name)

    def whyNot(self, peer: Peer, tried: set[Peer] | None) -> str:
        """
        Why can a remembered server not be had?

        @return: C{"full"}, C{"fail"}, C{"gone"}; empty: it can.
        """
        probe = self._probe
        now = int(probe.peers.seconds())
        if tried is not None and peer in tried:
            return "fail"
        # Draining is no reason: whoever is bound to a server may have it.
        if peer.down & ~DRAINING:
            return "fail"
        if not probe.isOpen(peer, now):
            if peer.maxConns and peer.conns >= peer.maxConns:
                return "full"
            if probe.peers.single is None:
                return "fail"
        if self._failback and peer not in self._primaries:
            for each in self._primaries:
                if probe.isUsable(each, now) and not (tried and each in tried):
                    return "gone"
        return ""


class PersistGetter(LayerGetter):
    """
    One request or session of a client that is known.

    @ivar key: what tells this client from others.
    @ivar status: C{hit}, C{miss}, C{moved}, C{spilled}, C{expired} or C{-}: what became
        of what was remembered.
    @ivar entry: what was remembered when it was asked for last.
    @ivar awaited: after no peer was found: whom it is worth waiting for; C{None}:
        anybody.
    """

    __slots__ = (
        "_counted",
        "_isHit",
        "_keep",
        "_milestones",
        "_persist",
        "_seen",
        "awaited",
        "entry",
        "key",
        "status",
    )

    # A property of what this class inherits from.
    awaited: Sequence[Peer] | None

    def __init__(
        self,
        inner: IPeerGetter,
        persist: Persist,
        key: bytes,
        milestones: frozenset[str],
    ) -> None:
        super().__init__(inner)
        self._persist = persist
        self._milestones = milestones
        self._counted: Entry | None = None
        self._seen: Peer | None = None
        self._keep = False
        self._isHit = False
        self.key = key
        self.awaited = None
        self.entry, expired = persist.table.find(key)
        self.status = "expired" if expired else "-"

    def follow(self, earlier: IPeerGetter) -> None:
        """
        An entry that was too old is told of once.
        """
        super().follow(earlier)
        if isinstance(earlier, PersistGetter):
            self.status = earlier.status

    def getPeer(self) -> Peer | None:
        """
        The remembered server, or another one.
        """
        persist = self._persist
        self.awaited = None
        self._keep = self._isHit = False
        self._seen = None
        entry = self.entry = persist.table.peek(self.key)
        if entry is not None:
            self._seen = entry.peer
            found = persist.find(entry)
            why = "gone"
            if found is not None:
                why = persist.whyNot(found, self.inner.tried)
                if not why:
                    return self._take(found, entry)
            if why != "gone":
                action = persist.onFull if why == "full" else persist.onFail
                if action == REJECT:
                    persist.table.rejected += 1
                    self.awaited = ()
                    return None
                if action == WAIT:
                    assert found is not None
                    self.awaited = (found,)
                    return None
                self._keep = action == SPILL
        return self._chosen(self.getPeerNow())

    def _take(self, wanted: Peer, entry: Entry) -> Peer | None:
        """
        Let the method give out the remembered server: it keeps its own accounts.
        """
        inner = self.inner
        inner.hint = wanted
        peer = self.getPeerNow()
        inner.hint = None
        if peer is not wanted:
            # A method that cannot be asked for somebody.
            self._keep = True
            return self._chosen(peer)
        self._isHit = True
        self.status = "hit"
        self._persist.table.hits += 1
        entry.peer = wanted
        self._count(entry)
        return wanted

    def _chosen(self, peer: Peer | None) -> Peer | None:
        if peer is None:
            return None
        table = self._persist.table
        if self._keep:
            self.status = "spilled"
            table.spilled += 1
        elif self.entry is not None:
            self.status = "moved"
        elif self.status != "expired":
            self.status = "miss"
        if not self._milestones:
            self._write(peer)
        return peer

    @property
    def age(self) -> float:
        """
        Seconds that the client has been known for.
        """
        if self.entry is None:
            return 0.0
        return self._persist.table.seconds() - self.entry.created

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The attempt has come so far: is that far enough to remember its server?
        """
        if milestone in self._milestones and self._counted is None:
            self._write(peer)
        self.inner.notifyPeer(peer, milestone, elapsed)

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over.
        """
        table = self._persist.table
        if self._counted is not None:
            table.ended(self._counted)
            self._counted = None
        if self._isHit and outcome & Outcome.FAILED:
            table.hits -= 1
        self.inner.freePeer(peer, outcome)

    def _write(self, peer: Peer) -> None:
        if self._keep:
            return
        persist = self._persist
        table = persist.table
        entry = table.peek(self.key)
        if entry is None:
            entry = table.add(self.key, peer)
            table.misses += 1
        elif entry.peer is not peer:
            if entry.peer is not self._seen:
                # Another session of this client was faster: it is followed, if that
                # is any good.
                found = persist.find(entry)
                if found is not None and not persist.whyNot(found, None):
                    return
            entry.peer = peer
            table.moved += 1
        self.entry = entry
        self._count(entry)

    def _count(self, entry: Entry) -> None:
        self._counted = entry
        self._persist.table.began(entry)


def _getter(client: Any) -> PersistGetter | None:
    found: PersistGetter | None = client.notes.get(Persist)
    return found


def _status(client: Any) -> bytes | None:
    getter = _getter(client)
    if getter is None or getter.status == "-":
        return None
    return getter.status.encode()


def _keyOf(client: Any) -> bytes | None:
    getter = _getter(client)
    return None if getter is None else getter.key


def _age(client: Any) -> bytes | None:
    getter = _getter(client)
    if getter is None or getter.entry is None:
        return None
    return b"%.3f" % getter.age


#: C{$upstream_persist_*}; for clients of any kind.
variables: dict[str, Callable[[Any], bytes | None]] = {
    "upstream_persist_status": _status,
    "upstream_persist_key": _keyOf,
    "upstream_persist_age": _age,
}
