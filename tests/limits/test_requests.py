"""
Tests for L{twisted_upstream.limits.requests}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, configure, messages
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.limits.requests import (
    RequestLimiter,
    RequestLimitOptions,
    RequestLimits,
    RequestTable,
)


class Client:
    """
    A request: all that a limiter needs.
    """

    def __init__(self, args: bytes = b"k", uri: bytes = b"u") -> None:
        self.args = args
        self.uri = uri
        self.limitReqStatus: bytes | None = None
        self.logged: list[tuple[str, str]] = []

    def logError(self, level: str, message: str) -> None:
        self.logged.append((level, message))


@dataclass
class RuleNode:
    """
    A bucket as the rules see it.
    """

    excess: int = 0
    last: int = 0


@dataclass
class RuleZone:
    """
    A zone and its limit as the rules see them.
    """

    rate: int
    burst: int
    delay: int
    nodes: dict[bytes, RuleNode] = field(default_factory=dict)

    def excess(self, node: RuleNode, now: int) -> int:
        ms = now - node.last
        return max(0, node.excess - self.rate * ms // 1000 + 1000)


def rule(limits: list[tuple[RuleZone, bytes]], now: int) -> int | None:
    """
    The delay of a request in milliseconds, or C{None}, by nginx's steps.
    """
    maxDelay = 0
    waiting: list[tuple[RuleZone, RuleNode]] = []
    for n, (zone, key) in enumerate(limits):
        account = n == len(limits) - 1
        node = zone.nodes.get(key)
        if node is None:
            node = zone.nodes[key] = RuleNode(last=now if account else 0)
            excess = 0
        else:
            excess = zone.excess(node, now)
            if excess > zone.burst:
                return None
            if account:
                node.excess, node.last = excess, now
        if account:
            if excess > zone.delay:
                maxDelay = (excess - zone.delay) * 1000 // zone.rate
        else:
            waiting.append((zone, node))
    for zone, node in reversed(waiting):
        node.excess, node.last = zone.excess(node, now), now
        if node.excess > zone.delay:
            delay = (node.excess - zone.delay) * 1000 // zone.rate
            maxDelay = max(maxDelay, delay)
    return maxDelay


class LimiterTests(SynchronousTestCase):
    """
    Tests for L{RequestLimiter}.
    """

    def setUp(self) -> None:
        """
        A clock that is not at 0.
        """
        self.clock = Clock()
        self.clock.advance(1_000_000)

    def limiter(
        self, text: str, rate: str = "1r/s", size: str = "1m"
    ) -> RequestLimiter:
        zones = (
            f"limit_req_zone $args zone=a:{size} rate={rate};"
            f"limit_req_zone $uri zone=b:{size} rate=5r/s;"
        )
        block = configure(zones + text, RequestLimitOptions)
        build = FakeBuild()
        limits = RequestLimits(block, build)
        made = limits.compile(block, self.clock.seconds)
        if unsized := build.zones.unsized():
            raise ConfigError(unsized)
        assert made is not None
        return made

    def delays(self, limiter: RequestLimiter, count: int) -> list[float | None]:
        return [limiter.admit(Client()) for _ in range(count)]

    def test_burst(self) -> None:
        """
        Requests ahead of the rate wait their turn; those too far ahead are rejected.
        """
        limiter = self.limiter("limit_req zone=a burst=2;")
        self.assertEqual(self.delays(limiter, 5), [0, 1, 2, None, None])
        self.clock.advance(1.5)
        self.assertEqual(self.delays(limiter, 2), [1.5, None])
        self.assertEqual(limiter.admit(Client(b"other")), 0)

    def test_withoutBurst(self) -> None:
        """
        By itself there is no burst.
        """
        limiter = self.limiter("limit_req zone=a;", "30r/m")
        self.assertEqual(self.delays(limiter, 2), [0, None])
        self.clock.advance(1.9)
        self.assertEqual(self.delays(limiter, 1), [None])
        self.clock.advance(0.1)
        self.assertEqual(self.delays(limiter, 2), [0, None])

    def test_delay(self) -> None:
        """
        The first of a burst, or all of it, need not wait.
        """
        limiter = self.limiter("limit_req zone=a burst=3 delay=1;")
        self.assertEqual(self.delays(limiter, 5), [0, 0, 1, 2, None])
        limiter = self.limiter("limit_req zone=a burst=3 nodelay;")
        self.assertEqual(self.delays(limiter, 5), [0, 0, 0, 0, None])

    def test_status(self) -> None:
        """
        What C{$limit_req_status} and the error log say; a request is looked at once.
        """
        for more, expected in (
            (
                "",
                [
                    (b"PASSED", []),
                    (
                        b"DELAYED",
                        [("warn", 'delaying request, excess: 1.000, by zone "a"')],
                    ),
                    (
                        b"REJECTED",
                        [("error", 'limiting requests, excess: 2.000 by zone "a"')],
                    ),
                ],
            ),
            (
                "limit_req_dry_run on; limit_req_log_level info;",
                [
                    (b"PASSED", []),
                    (
                        b"DELAYED_DRY_RUN",
                        [
                            (
                                "info",
                                'delaying request, dry run, excess: 1.000, by zone "a"',
                            )
                        ],
                    ),
                    (
                        b"REJECTED_DRY_RUN",
                        [
                            (
                                "info",
                                'limiting requests, dry run, excess: 2.000 by zone "a"',
                            )
                        ],
                    ),
                ],
            ),
        ):
            limiter = self.limiter("limit_req zone=a burst=1;" + more)
            clients = [Client() for _ in range(3)]
            delays = [limiter.admit(client) for client in clients]
            self.assertEqual(
                [(each.limitReqStatus, each.logged) for each in clients], expected
            )
            if more:
                self.assertEqual(delays, [0, 0, 0])
            self.assertEqual(limiter.admit(clients[2]), 0)

    def test_keys(self) -> None:
        """
        Without a key, and with one that is too long, there is no limit.
        """
        limiter = self.limiter("limit_req zone=a;")
        for key in (b"", b"x" * 65536):
            client = Client(key)
            self.assertEqual(limiter.admit(client), 0)
            self.assertEqual(limiter.admit(client), 0)
            self.assertIs(client.limitReqStatus, None)

    def test_clockSetBack(self) -> None:
        """
        A clock that is set back stops the leak, and does not stop it for good.
        """
        limiter = self.limiter("limit_req zone=a;")
        self.assertEqual(self.delays(limiter, 1), [0])
        self.clock.rightNow -= 100_000
        self.assertEqual(self.delays(limiter, 1), [None])
        self.clock.advance(100_001)
        self.assertEqual(self.delays(limiter, 1), [0])

    def test_oldestForgotten(self) -> None:
        """
        A full zone forgets the key that was longest away.
        """
        limiter = self.limiter("limit_req zone=a;", size="32k")
        for number in range(1000):
            self.assertEqual(limiter.admit(Client(b"%d" % number)), 0)
        self.assertIs(limiter.admit(Client(b"999")), None)
        self.assertEqual(limiter.admit(Client(b"0")), 0)

    def test_emptyForgotten(self) -> None:
        """
        Buckets that are empty for a minute are forgotten when others come.
        """
        table = RequestTable(1 << 20)
        table.rate = 1000
        for number in range(10):
            table.make(b"%d" % number, 0)
        table.make(b"new", 59_999)
        self.assertEqual(len(table), 11)
        table.make(b"newer", 60_000)
        self.assertEqual(len(table), 10)

    def test_followsTheRules(self) -> None:
        """
        Each delay is the one that nginx's steps give, with two zones.
        """
        for seed in range(100):
            chance = Random(seed)
            burstA, burstB = chance.randrange(1, 5), chance.randrange(1, 5)
            delayA, delayB = chance.randrange(1, 5), chance.randrange(1, 5)
            limiter = self.limiter(
                f"limit_req zone=a burst={burstA} delay={delayA};"
                f"limit_req zone=b burst={burstB} delay={delayB};"
            )
            a = RuleZone(1000, burstA * 1000, delayA * 1000)
            b = RuleZone(5000, burstB * 1000, delayB * 1000)
            for step in range(60):
                self.clock.advance(chance.choice((0, 0, 0.013, 0.2, 1.1)))
                one, two = chance.choice((b"x", b"y", b"")), chance.choice((b"u", b"v"))
                limits = [(a, one)] if one else []
                expected = rule([*limits, (b, two)], int(self.clock.seconds() * 1000))
                found = limiter.admit(Client(one, two))
                self.assertEqual(
                    None if found is None else round(found * 1000),
                    expected,
                    (seed, step),
                )

    def test_wrong(self) -> None:
        """
        Mistakes, in nginx's words.
        """
        for text, message in (
            ("zone=a burst=0", 'invalid burst value "burst=0"'),
            ("zone=a delay=x", 'invalid delay value "delay=x"'),
            ("zone=a x", 'invalid parameter "x"'),
            ("burst=1", '"limit_req" must have "zone" parameter'),
            ("zone=c", 'zero size shared memory zone "c"'),
        ):
            error = self.assertRaises(ConfigError, self.limiter, f"limit_req {text};")
            self.assertEqual(messages(error), [message])
        for rate in ("0r/s", "x", "r/s", "-1r/s"):
            error = self.assertRaises(
                ConfigError, self.limiter, "limit_req zone=a;", rate
            )
            self.assertEqual(messages(error), [f'invalid rate "rate={rate}"'])
