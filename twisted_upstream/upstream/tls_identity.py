"""
Who a connection with TLS is with, as far as we care.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from ..tls.context import Context
    from ..tls.names import NameCheck


class Identity:
    """
    Who a connection is with, as far as we care: a connection serves only requests that
    want the very same.  There is one object for each: L{identityOf} finds it.

    @ivar group: the name of the group of servers.
    @ivar context: with all settings and our own certificate.
    @ivar name: that the certificate must have; empty: nobody looks.
    @ivar serverName: that the server is told; empty: none.
    @ivar check: how names are compared; C{None}: the certificate is not verified.
    """

    __slots__ = (
        "__weakref__",
        "check",
        "context",
        "group",
        "name",
        "protocolNames",
        "serverName",
    )

    def __init__(
        self,
        group: bytes,
        context: Context,
        name: bytes,
        serverName: bytes,
        check: NameCheck | None,
        protocolNames: tuple[bytes, ...],
    ) -> None:
        self.group = group
        self.context = context
        self.name = name
        self.serverName = serverName
        self.check = check
        self.protocolNames = protocolNames


_identities: WeakValueDictionary[tuple[Any, ...], Identity] = WeakValueDictionary()


def identityOf(
    group: bytes,
    context: Context,
    name: bytes,
    serverName: bytes,
    check: NameCheck | None,
    protocolNames: tuple[bytes, ...] = (),
) -> Identity:
    """
    The one object that stands for all this.
    """
    key = (group, context, name, serverName, check, protocolNames)
    found = _identities.get(key)
    if found is None:
        found = _identities[key] = Identity(*key)
    return found
