"""
Tests for L{twisted_upstream.net.syslog}.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.syslog import Syslog, SyslogServer, parseSyslog


def addresses(host: str) -> Sequence[str]:
    """
    A resolver that knows one name.
    """
    if host != "logs.test":
        raise OSError("unknown")
    return ["10.0.0.1", "10.0.0.2"]


class ParseTests(SynchronousTestCase):
    """
    L{parseSyslog}.
    """

    def parse(self, text: str) -> SyslogServer:
        """
        What C{syslog:TEXT} means.
        """
        return parseSyslog(f"syslog:{text}", addresses)

    def test_defaults(self) -> None:
        """
        Port 514, C{local7}, C{info}, C{nginx}, with our host's name.
        """
        self.assertEqual(
            self.parse("server=127.0.0.1"),
            SyslogServer(("127.0.0.1", 514), 23, 6, "nginx", True),
        )

    def test_addresses(self) -> None:
        """
        IPv6, unix sockets and names, which are resolved at once.
        """
        for text, sockaddr in (
            ("[::1]:12", ("::1", 12, 0, 0)),
            ("unix:/dev/log", "/dev/log"),
            ("logs.test:5", ("10.0.0.1", 5)),
        ):
            self.assertEqual(self.parse(f"server={text}").sockaddr, sockaddr)

    def test_parameters(self) -> None:
        """
        All of them, in any order.
        """
        self.assertEqual(
            self.parse(
                "nohostname,tag=a_1,severity=alert,server=1.2.3.4:9,facility=user"
            ),
            SyslogServer(("1.2.3.4", 9), 1, 1, "a_1", False),
        )

    def test_mistakes(self) -> None:
        """
        Mistakes are told in nginx's words.
        """
        for text, message in (
            ("", 'unknown syslog parameter ""'),
            ("facility=user", "no syslog server specified"),
            ("server=a:b", 'invalid port in syslog server "a:b"'),
            ("server=", 'no host in syslog server ""'),
            ("server=x.test", 'host not found in syslog server "x.test"'),
            ("server=a..b", 'host not found in syslog server "a..b"'),
            ("server=1.1.1.1,server=1.1.1.1", 'duplicate syslog "server"'),
            ("server=1.1.1.1,facility=x", 'unknown syslog facility "x"'),
            ("facility=user,facility=user", 'duplicate syslog "facility"'),
            ("severity=err", 'unknown syslog severity "err"'),
            ("severity=warn,severity=warn", 'duplicate syslog "severity"'),
            ("tag=a,tag=b", 'duplicate syslog "tag"'),
            ("tag=" + "a" * 33, "syslog tag length exceeds 32"),
            (
                "tag=a-b",
                'syslog "tag" only allows alphanumeric characters and underscore',
            ),
            ("nohostname=1", 'unknown syslog parameter "nohostname=1"'),
            ("server", 'unknown syslog parameter "server"'),
        ):
            error = self.assertRaises(ValueError, self.parse, text)
            self.assertEqual(str(error), message)


class FakeSocket:
    """
    A datagram socket whose errors are scripted.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.blocking = True
        self.closed = False

    def setblocking(self, flag: bool) -> None:
        """
        As sockets do.
        """
        self.blocking = flag

    def connect(self, sockaddr: object) -> None:
        """
        Fail, if it is time to.
        """
        self.network.fail("connect")
        self.network.connected.append(sockaddr)

    def send(self, data: bytes) -> int:
        """
        Keep the datagram, or fail.
        """
        assert not self.blocking
        self.network.fail("send")
        self.network.datagrams.append(data)
        return len(data)

    def close(self) -> None:
        """
        As sockets do.
        """
        self.closed = True


class Network:
    """
    Where datagrams go.

    @ivar errors: call and error of what fails next.
    """

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.connected: list[object] = []
        self.datagrams: list[bytes] = []
        self.errors: list[tuple[str, OSError]] = []

    def fail(self, call: str) -> None:
        """
        Raise, if the next error is one of C{call}.
        """
        if self.errors and self.errors[0][0] == call:
            raise self.errors.pop(0)[1]

    def socket(self, family: int, kind: int) -> FakeSocket:
        """
        A new socket.
        """
        assert (family, kind) == (socket.AF_INET, socket.SOCK_DGRAM)
        self.fail("socket")
        made = FakeSocket(self)
        self.sockets.append(made)
        return made


class SyslogTests(SynchronousTestCase):
    """
    L{Syslog}.
    """

    def setUp(self) -> None:
        """
        A network, and a log for complaints.
        """
        self.network = Network()
        self.complaints: list[str] = []
        self.complainTo: Syslog | None = None
        self.now = time.mktime((2026, 3, 7, 4, 5, 6, 0, 0, -1))

    def make(self, hostName: bool = True) -> Syslog:
        """
        A sender that is open.
        """
        made = Syslog(
            SyslogServer(("10.0.0.1", 514), hostName=hostName),
            self.complain,
            wallClock=lambda: self.now,
            hostName=lambda: "Box.Example",
            makeSocket=self.network.socket,
        )
        made.open()
        return made

    def complain(self, level: str, message: str, number: int, suffix: str) -> None:
        """
        Keep a complaint.
        """
        self.complaints.append(f"{level} {message} {number}{suffix}")
        if self.complainTo is not None:
            self.complainTo.write(b"again\n", 2)

    def test_format(self) -> None:
        """
        Priority, date with a padded day, our host's name in small letters, tag.
        """
        syslog = self.make()
        self.assertTrue(syslog.send(b"text"))
        self.now += 60
        syslog.write(b"line\n", 4)
        self.assertEqual(
            self.network.datagrams,
            [
                b"<190>Mar  7 04:05:06 box.example nginx: text",
                b"<187>Mar  7 04:06:06 box.example nginx: line",
            ],
        )
        self.assertEqual(self.network.connected, [("10.0.0.1", 514)])

    def test_noHostName(self) -> None:
        """
        C{nohostname} leaves the name out.
        """
        self.make(hostName=False).send(b"text")
        self.assertEqual(self.network.datagrams, [b"<190>Mar  7 04:05:06 nginx: text"])

    def test_errors(self) -> None:
        """
        After an error the socket is closed; the next line tries a new one.
        """
        syslog = self.make()
        for call in ("socket", "connect", "send"):
            self.network.errors.append((call, OSError(errno.ECONNREFUSED, "")))
            self.assertFalse(syslog.send(b"lost"))
            self.assertTrue(all(each.closed for each in self.network.sockets))
        self.assertTrue(syslog.send(b"kept"))
        self.assertEqual(len(self.network.datagrams), 1)
        self.assertEqual(
            self.complaints,
            [
                f"{start} failed {errno.ECONNREFUSED} while logging to syslog, server:"
                " 10.0.0.1:514"
                for start in ("alert socket()", "alert connect()", "error send()")
            ],
        )

    def test_full(self) -> None:
        """
        A line that does not go out at once is lost, without more ado.
        """
        syslog = self.make()
        self.network.errors.append(("send", BlockingIOError()))
        self.assertFalse(syslog.send(b"lost"))
        self.assertEqual(self.complaints, [])
        self.assertFalse(self.network.sockets[0].closed)

    def test_noLoop(self) -> None:
        """
        A complaint that would come back to the same log is dropped.
        """
        syslog = self.make()
        self.complainTo = syslog
        self.network.errors.append(("send", OSError(errno.EPERM, "")))
        syslog.write(b"lost\n", 4)
        self.assertEqual(self.network.datagrams, [])
        syslog.write(b"kept\n", 4)
        self.assertEqual(len(self.network.datagrams), 1)

    def test_closed(self) -> None:
        """
        Before it is open and after it is closed nothing is sent.
        """
        syslog = self.make()
        syslog.send(b"one")
        syslog.close()
        self.assertTrue(syslog.send(b"two"))
        self.assertEqual(len(self.network.datagrams), 1)
        self.assertTrue(self.network.sockets[0].closed)
