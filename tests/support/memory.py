"""
The network without sockets that tests of ours run on: the public one.
"""

from __future__ import annotations

from twisted_upstream.testing.block import EPOCH, MemoryHTTP, lookUp
from twisted_upstream.testing.memory import MemoryReactor, MemorySocket
from twisted_upstream.testing.network import (
    Dialed,
    LogLines,
    MemoryDialer,
    Names,
    WatchedDeadlines,
)

__all__ = [
    "EPOCH",
    "Dialed",
    "LogLines",
    "MemoryDialer",
    "MemoryHTTP",
    "MemoryReactor",
    "MemorySocket",
    "Names",
    "WatchedDeadlines",
    "lookUp",
]
