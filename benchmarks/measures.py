"""
What one contender has used for something: processor time, seconds, memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.contenders import LARGE_BYTES, Contender
from benchmarks.load import IdleClients, Load, Steady
from benchmarks.processes import cpuSeconds, residentBytes
from benchmarks.report import Figures

#: How much less than asked for a rate may be that counts as reached.
_SHORT = 0.03


def perRequest(contender: Contender, run: Callable[[], Load]) -> Figures:
    """
    For each of the requests that C{run} makes.
    """
    pid = contender.server.pid
    before = cpuSeconds(pid)
    load = run()
    used = cpuSeconds(pid) - before
    if not load.requests:
        raise ValueError("no request was answered")
    return Figures(
        rate=load.requests / load.seconds,
        p99=load.p99,
        cpu=used / load.requests,
        errors=load.errors,
    )


def atRate(
    contender: Contender,
    port: int,
    path: str,
    *,
    rate: int,
    connections: int,
    seconds: int,
    core: int,
    tls: bool = False,
) -> Figures:
    """
    For each of the requests that come C{rate} times a second.

    @raise ValueError: so many cannot be answered.
    """
    client = Steady(
        port,
        path,
        rate=rate,
        connections=connections,
        seconds=seconds,
        core=core,
        tls=tls,
    )
    with client:
        figures = perRequest(contender, client.run)
    reached = figures.rate
    if reached is not None and abs(reached - rate) > _SHORT * rate:
        raise ValueError(f"does not reach {rate:,} requests/s")
    return figures


def perDownload(contender: Contender, transfer: Callable[[], int]) -> Figures:
    """
    For C{LARGE_BYTES}.

    @param transfer: returns how many bytes there were.
    """
    pid = contender.server.pid
    before, start = cpuSeconds(pid), time.monotonic()
    count = transfer()
    if count != LARGE_BYTES:
        raise ValueError(f"{count} bytes of {LARGE_BYTES}")
    return Figures(seconds=time.monotonic() - start, cpu=cpuSeconds(pid) - before)


def perIdleClient(contender: Contender, port: int, path: str, count: int) -> Figures:
    """
    For each of C{count} connections.
    """
    pid = contender.server.pid
    time.sleep(0.5)
    before = residentBytes(pid)
    clients = IdleClients(port, path, count)
    try:
        time.sleep(1)
        grown = residentBytes(pid) - before
        return Figures(memory=grown / count, errors=count - clients.alive())
    finally:
        clients.close()
