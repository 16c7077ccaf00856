"""
Tests for L{twisted_upstream.embed.pick}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.embed import ArgumentError, Pick, Upstream, UpstreamFailed

A, B, C = "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"


class PickTests(SynchronousTestCase):
    """
    L{Upstream.pick} and L{Pick}.
    """

    def setUp(self) -> None:
        """
        Two servers.
        """
        self.clock = Clock()
        self.upstream = Upstream(self.clock, A, B)

    def fails(self) -> list[int]:
        """
        The failures of each peer.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]

    def test_success(self) -> None:
        """
        A block that ends well is a success.
        """
        with self.upstream.pick() as peer:
            self.assertEqual((peer.host, peer.port), ("127.0.0.1", 8001))
            self.assertEqual((peer.name, peer.server), (A, A))
            self.assertEqual(self.upstream.status.active, 1)
        self.assertEqual(self.fails(), [0, 0])

    def test_failure(self) -> None:
        """
        A block that raises has failed, and the exception goes on.
        """

        def fail() -> None:
            with self.upstream.pick():
                raise OSError("no")

        self.assertRaises(OSError, fail)
        self.assertEqual(self.fails(), [1, 0])

    def test_stopped(self) -> None:
        """
        Who is cancelled, or leaves for good, does not blame the server.
        """
        for reason in (CancelledError, GeneratorExit, KeyboardInterrupt):

            def stop(reason: type[BaseException] = reason) -> None:
                with self.upstream.pick():
                    raise reason()

            self.assertRaises(reason, stop)
        self.assertEqual(self.fails(), [0, 0])

    def test_once(self) -> None:
        """
        Only the first word about its end counts.
        """
        pick = self.upstream.pick()
        pick.succeeded()
        pick.failed()
        pick.succeeded()
        self.assertEqual(self.fails(), [0, 0])

    def test_none(self) -> None:
        """
        When all have failed there is none.
        """
        self.upstream.pick().failed()
        self.upstream.pick().failed()
        error = self.assertRaises(UpstreamFailed, self.upstream.pick)
        self.assertEqual(str(error), "upstream upstream: no live upstreams")

    def test_unix(self) -> None:
        """
        A unix socket has a path instead of a host, and no port.
        """
        pick = Upstream(self.clock, "unix:/tmp/x").pick()
        self.assertEqual((pick.host, pick.port), ("/tmp/x", None))

    def test_key(self) -> None:
        """
        The key is hashed, whatever the configuration hashes.
        """
        for method in ("hash $key", "hash $uri consistent", "consistent_hash $key"):
            upstream = Upstream(self.clock, A, B, C, method=method)
            found: dict[str, set[str]] = {}
            for number in range(60):
                key = f"k{number % 20}"
                with upstream.pick(key=key) as peer:
                    found.setdefault(key, set()).add(peer.name)
            self.assertEqual({len(names) for names in found.values()}, {1})
            self.assertEqual(len(set().union(*found.values())), 3)

    def test_address(self) -> None:
        """
        C{ip_hash} sends a client's network to one server.
        """
        upstream = Upstream(self.clock, A, B, C, method="ip_hash")
        names = [
            {upstream.pick(address=f"10.{net}.0.{host}").name for host in range(9)}
            for net in range(20)
        ]
        self.assertEqual({len(each) for each in names}, {1})
        self.assertEqual(len(set().union(*names)), 3)
        upstream.pick(address=bytes(16)).succeeded()

    def test_wrong(self) -> None:
        """
        Arguments that make no sense are named.
        """
        pick = self.upstream.pick
        for name, value in (("key", 3), ("address", "x"), ("address", b"123")):
            error = self.assertRaises(
                ArgumentError,
                pick,
                **{name: value},
            )
            self.assertTrue(str(error).startswith(f"{name}: "))
        self.assertEqual(self.upstream.status.active, 0)


class WaitTests(SynchronousTestCase):
    """
    L{Upstream.pickWhenFree}.
    """

    def setUp(self) -> None:
        """
        One server for one at a time.
        """
        self.clock = Clock()
        self.upstream = Upstream(self.clock, f"{A} max_conns=1", queue="2 timeout=5s")

    def test_waits(self) -> None:
        """
        Callers wait in a queue, first come, first served.
        """
        first = self.successResultOf(self.upstream.pickWhenFree())
        second, third = self.upstream.pickWhenFree(), self.upstream.pickWhenFree()
        self.assertEqual(self.upstream.status.waiting, 2)
        self.failureResultOf(self.upstream.pickWhenFree(), UpstreamFailed)
        self.assertEqual(self.upstream.status.overflows, 1)
        with first:
            pass
        self.clock.advance(0)
        with self.successResultOf(second):
            self.assertNoResult(third)
        self.clock.advance(0)
        with self.successResultOf(third) as peer:
            self.assertIsInstance(peer, Pick)
        self.assertEqual(self.upstream.status.active, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tooLong(self) -> None:
        """
        Who has waited too long is told for how long.
        """
        pick = self.upstream.pick()
        waiting = self.upstream.pickWhenFree()
        self.clock.advance(5)
        error = self.failureResultOf(waiting, UpstreamFailed).value
        self.assertEqual(
            str(error),
            "upstream upstream: upstream: no live upstreams while waiting for an"
            " upstream server, 5.000 s",
        )
        self.assertEqual(error.attempts[0].seconds, 5)
        pick.succeeded()

    def test_cancelled(self) -> None:
        """
        Who is cancelled leaves the queue.
        """
        pick = self.upstream.pick()
        waiting = self.upstream.pickWhenFree()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        pick.succeeded()
        self.assertEqual(self.upstream.status.waiting, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_impatient(self) -> None:
        """
        L{Upstream.pick} does not wait.
        """
        pick = self.upstream.pick()
        self.assertRaises(UpstreamFailed, self.upstream.pick)
        pick.succeeded()
        self.assertEqual(self.upstream.status.waiting, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_awaited(self) -> None:
        """
        It is awaited in coroutines.
        """
        from twisted.internet.defer import Deferred

        async def use() -> str:
            with await self.upstream.pickWhenFree() as peer:
                return peer.name

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(use())), A)
        self.assertEqual(self.upstream.status.active, 0)
