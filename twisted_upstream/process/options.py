"""
What the main level and C{events} of a configuration may say about the process.

nginx: core/nginx.c (ngx_core_commands), event/ngx_event.c (ngx_event_core_commands)
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directive import (
    InvalidValue,
    Where,
    converter,
    directive,
    flag,
    nothing,
    number,
    offset,
    oneOf,
    seconds,
    text,
)
from ..config.syntax import ConfigError, Problem

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node

REACTORS = {
    "epoll": "twisted_upstream.net.reactor",
    "poll": "twisted.internet.pollreactor",
    "select": "twisted.internet.selectreactor",
    "kqueue": "twisted.internet.kqreactor",
    "asyncio": "twisted.internet.asyncioreactor",
}


@dataclass(frozen=True, slots=True)
class Account:
    """
    Whom the process becomes.
    """

    user: str
    group: str
    uid: int
    gid: int


@converter("user [group]", (1, 2))
def _account(node: Node) -> Account | None:
    """
    Convert C{user USER [GROUP]}.

    nginx: ngx_set_user()
    """
    if os.geteuid() != 0:
        node.warning(
            'the "user" directive makes sense only if the master process runs with'
            " super-user privileges, ignored"
        )
        return None
    # Unix only, and seldom needed.
    import grp
    import pwd

    user = node.words[0]
    group = node.words[1] if len(node.words) > 1 else user
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise node.error(f'getpwnam("{user}") failed', word=0) from None
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise node.error(f'getgrnam("{group}") failed', word=1) from None
    return Account(user, group, uid, gid)


def availableProcessors() -> int:
    """
    How many processors this process may use: affinity and the quota of its cgroup
    both count.  Nginx counts those of the machine.
    """
    # Not every system has affinity.
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        # No cgroup of version 2: there is no quota to know.
        pass
    return max(count, 1)


@converter("number | auto")
def _workers(node: Node) -> int:
    word = node.words[0]
    if word == "auto":
        return availableProcessors()
    if not word.isdigit() or int(word) < 1:
        raise ValueError("invalid value")
    return int(word)


@converter("number")
def _limit(node: Node) -> int:
    """
    Convert the number of C{worker_rlimit_nofile}.
    """
    value = int(number(node))
    if value < 1:
        raise ValueError("invalid value")
    return value


@converter("name[=value]")
def _variable(node: Node) -> tuple[str, str | None]:
    name, equals, value = node.words[0].partition("=")
    return name, value if equals else None


@converter("number")
def _priority(node: Node) -> int:
    word = node.words[0]
    if not word.removeprefix("-").isdigit():
        raise ValueError("invalid number")
    return int(word)


@converter("mask ... | auto [mask]", (1, None))
def _affinity(node: Node) -> frozenset[int] | None:
    """
    The processors for the first worker, C{None} for all.

    nginx: ngx_set_cpu_affinity(), ngx_get_cpu_affinity()
    """
    masks = list(node.words)
    automatic = masks[0] == "auto"
    if automatic:
        masks = masks[1:]
        if not masks:
            return None
        if len(masks) > 1:
            raise node.error(f'invalid number of arguments in "{node.name}" directive')
    for mask in masks:
        for character in mask:
            if character not in "01 ":
                raise node.error(f'invalid character "{character}" in "{node.name}"')
    bits = masks[0].replace(" ", "")
    found = [i for i, bit in enumerate(reversed(bits)) if bit == "1"]
    return frozenset(found[:1] if automatic else found) or None


@converter("method")
def _method(node: Node) -> str:
    word = node.words[0]
    if word not in REACTORS:
        raise node.error(
            f'invalid event type "{word}"', word=0, hint="known: " + ", ".join(REACTORS)
        )
    return word


@converter("name [threads=number] [max_queue=number]", (1, 3))
def _pool(node: Node) -> str:
    for index, word in enumerate(node.words[1:], 1):
        name, _, value = word.partition("=")
        if name == "threads" and (not value.isdigit() or int(value) < 1):
            raise node.error(f'invalid threads value "{word}"', word=index)
        if name == "max_queue" and not value.isdigit():
            raise node.error(f'invalid max_queue value "{word}"', word=index)
        if name not in ("threads", "max_queue"):
            raise InvalidValue(word, "")
    return node.words[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class MainOptions:
    """
    The main level.
    """

    events: bool = directive(
        "events",
        Where.MAIN,
        nothing,
        default=False,
        opens=Where.EVENTS,
        doc="How connections are processed.  The block must be there, if empty.",
    )
    daemon: bool = directive(
        "daemon",
        Where.MAIN,
        flag,
        default=True,
        doc="Go into the background.  The command returns once the pid file is"
        " written, with 1 if the start failed.  Under C{twistd} its own option counts.",
    )
    masterProcess: bool = directive(
        "master_process",
        Where.MAIN,
        flag,
        default=True,
        doc="Accepted: one process is master and worker in either case, and C{QUIT}"
        " drains in either case.",
    )
    workerProcesses: int = directive(
        "worker_processes",
        Where.MAIN,
        _workers,
        default=1,
        doc="One process serves whatever the number; other numbers are noted in the"
        " log.  C{auto} counts the processors that affinity and cgroup leave us.",
    )
    pid: str = directive(
        "pid",
        Where.MAIN,
        text,
        default="logs/nginx.pid",
        doc="File with the process's number; written when all sockets listen, removed"
        " at exit.  Under C{twistd} its own option counts.",
    )
    user: Account | None = directive(
        "user",
        Where.MAIN,
        _account,
        default=None,
        doc="Become this user and group (default: the group of that name) once the"
        " sockets listen and the logs are open.  Only root can; without the directive"
        " root stays root.  As one process is master and worker, what only root may"
        " do (new ports below 1024, new log files, keys) fails in a later reload.",
    )
    environment: tuple[tuple[str, str | None], ...] = directive(
        "env",
        Where.MAIN,
        _variable,
        default=(),
        repeat=True,
        doc="C{NAME=VALUE} sets a variable of the environment; C{NAME} keeps it."
        " Other variables are kept too: Python needs some of them.",
    )
    lockFile: str = directive(
        "lock_file",
        Where.MAIN,
        text,
        default="logs/nginx.lock",
        doc="Accepted, not used: nginx does not use it on Linux either.",
    )
    timerResolution: float = directive(
        "timer_resolution",
        Where.MAIN,
        seconds,
        default=0.0,
        unit="seconds",
        doc="Accepted, not used: the clock is read once per turn as it is.",
    )
    rlimitNoFile: int | None = directive(
        "worker_rlimit_nofile",
        Where.MAIN,
        _limit,
        default=None,
        doc="How many files and sockets the process may have open.",
    )
    rlimitCore: int | None = directive(
        "worker_rlimit_core",
        Where.MAIN,
        offset,
        default=None,
        unit="bytes",
        doc="How large a core file of the process may be.",
    )
    shutdownTimeout: float = directive(
        "worker_shutdown_timeout",
        Where.MAIN,
        seconds,
        default=0.0,
        unit="seconds",
        doc="How long draining may take, at C{QUIT} and for the old configuration"
        " after a reload; then all that is left is closed.  0 is for ever.",
    )
    priority: int | None = directive(
        "worker_priority",
        Where.MAIN,
        _priority,
        default=None,
        doc="Scheduling priority (nice) of the process.",
    )
    affinity: frozenset[int] | None = directive(
        "worker_cpu_affinity",
        Where.MAIN,
        _affinity,
        default=None,
        doc="Processors the process may run on: what nginx gives its first worker.",
    )
    workingDirectory: str | None = directive(
        "working_directory",
        Where.MAIN,
        text,
        default=None,
        doc="Current directory of the process, where core files go.",
    )
    debugPoints: str | None = directive(
        "debug_points",
        Where.MAIN,
        oneOf("stop", "abort"),
        default=None,
        doc="Accepted, not used: there are no such points.",
    )
    pcreJit: bool = directive(
        "pcre_jit",
        Where.MAIN,
        flag,
        default=False,
        doc="Accepted, not used: regular expressions are Python's.",
    )
    threadPools: tuple[str, ...] = directive(
        "thread_pool",
        Where.MAIN,
        _pool,
        default=(),
        repeat=True,
        doc="Accepted, not used: files are read by the process itself.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsOptions:
    """
    C{events}.
    """

    workerConnections: int = directive(
        "worker_connections",
        Where.EVENTS,
        number,
        default=512,
        doc="Accepted: the limit is the number of file descriptors that the process may"
        " have (worker_rlimit_nofile).",
    )
    use: str | None = directive(
        "use",
        Where.EVENTS,
        _method,
        default=None,
        doc="How the system is asked for events: C{epoll}, C{poll}, C{select},"
        " C{kqueue}, C{asyncio}; the best one if it is not said.  Under C{twistd} its"
        " C{--reactor} counts.",
    )
    multiAccept: bool = directive(
        "multi_accept",
        Where.EVENTS,
        flag,
        default=False,
        doc="Accepted: up to 64 waiting connections are accepted at a wake-up.",
    )
    acceptMutex: bool = directive(
        "accept_mutex",
        Where.EVENTS,
        flag,
        default=False,
        doc="Accepted, not used: one process has nobody to take turns with.",
    )
    acceptMutexDelay: float = directive(
        "accept_mutex_delay",
        Where.EVENTS,
        seconds,
        default=0.5,
        unit="seconds",
        doc="Accepted: accepting pauses for half a second when the system is out of"
        " descriptors.",
    )
    aioRequests: int = directive(
        "worker_aio_requests",
        Where.EVENTS,
        number,
        default=32,
        doc="Accepted, not used.",
    )


def eventsBlock(root: Block) -> Block:
    """
    The C{events} block.

    @raise ConfigError: there is none.

    nginx: ngx_event_init_conf()
    """
    for block in root.inner:
        if block.node.name == "events":
            return block
    message = 'no "events" section in configuration'
    hint = 'an empty one will do: "events { }"'
    raise ConfigError([Problem(level="emerg", message=message, path="", hint=hint)])
