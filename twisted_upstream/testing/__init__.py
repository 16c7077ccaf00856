"""
For tests of what uses this package: a configuration in memory, between servers and
clients that the test plays, in simulated time.

L{World} runs a configuration; L{simulation<twisted_upstream.testing.simulation>} runs a
balancer alone, for hundreds of thousands of choices.
"""

from .clients import Answer, Attempt, Call
from .faults import (
    ConnectPlan,
    Cut,
    Delay,
    Fault,
    Garbage,
    Hang,
    Refuse,
    ResponsePlan,
    Slow,
    SlowConnect,
    Status,
    Unreachable,
    WrongLength,
)
from .load import Load
from .messages import Message
from .servers import Connection, FakeServer, Response
from .world import Leak, World

__all__ = [
    "Answer",
    "Attempt",
    "Call",
    "ConnectPlan",
    "Connection",
    "Cut",
    "Delay",
    "FakeServer",
    "Fault",
    "Garbage",
    "Hang",
    "Leak",
    "Load",
    "Message",
    "Refuse",
    "Response",
    "ResponsePlan",
    "Slow",
    "SlowConnect",
    "Status",
    "Unreachable",
    "World",
    "WrongLength",
]
