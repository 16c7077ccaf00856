"""
Tests for L{twisted_upstream.http.phases.try_files}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    messages,
    only,
    run,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.paths import PathOptions, compilePaths
from twisted_upstream.http.phases.try_files import TryFilesOptions, compileTryFiles


class TryFilesTests(SynchronousTestCase):
    """
    The first file that is there is used.
    """

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory + "/directory")
        for name in ("/found.html", "/directory/alias-re.html"):
            with open(self.directory + name, "w"):
                pass

    def look(
        self, text: str, target: bytes, location: str = "/"
    ) -> tuple[bool, FakeRequest]:
        text = text.replace("%D", self.directory)
        block = configure(
            f"root {self.directory}; server {{ location {location} {{ {text} }} }}",
            PathOptions,
            TryFilesOptions,
        )
        build = FakeBuild()
        self.block = only(block, 0, 0)
        phase = compileTryFiles(self.block, build)
        assert phase is not None
        request = FakeRequest(target, build=build)
        return run(phase, request), request

    def found(self, text: str, target: bytes, location: str = "/") -> bytes | None:
        taken, request = self.look(text, target, location)
        return None if taken else request.uri

    def test_found(self) -> None:
        """
        The request becomes one for what was found.
        """
        for text, expected in (
            ("try_files $uri =404;", b"/found.html"),
            ("try_files /nx $uri/ $uri =404;", b"/found.html"),
            ("try_files /found.html/ =404;", None),
            ("try_files /directory =404;", None),
            ("try_files /directory/ =404;", b"/directory"),
            ("try_files $arg_a/ =404;", b""),
        ):
            self.assertEqual(self.found(text, b"/found.html"), expected, text)

    def test_fallback(self) -> None:
        """
        If there is none, the last word says where to go.
        """
        for text, expected in (
            ("try_files $uri =404;", ("failResponse", 404)),
            ("try_files $uri @other;", ("namedLocation", "@other")),
            ("try_files $uri /f;", ("internalRedirect", b"/f", b"")),
            ("try_files $uri /f?u=$uri;", ("internalRedirect", b"/f", b"u=/nx")),
        ):
            taken, request = self.look(text, b"/nx?a")
            self.assertTrue(taken)
            self.assertEqual(request.done, [expected])

    def test_alias(self) -> None:
        """
        Where an alias stands for the location's name, names lose it.
        """
        for text, expected in (
            ("alias %D/; try_files $uri =404;", b"/a/found.html"),
            ("alias %D/; try_files found.html =404;", b"/a/found.html"),
            ("alias %D/; try_files /found.html =404;", b"/a//found.html"),
        ):
            self.assertEqual(self.found(text, b"/a/found.html", "/a/"), expected, text)

    def test_aliasOfRegex(self) -> None:
        """
        Where it stands for the whole path, the name is put behind it.
        """
        text = "alias %D/directory; try_files $uri =404;"
        taken, request = self.look(text, b"/alias-re.html", "~ /alias-re.html")
        self.assertFalse(taken)
        self.assertEqual(
            run(compilePaths(self.block, FakeBuild()).path, request),
            f"{self.directory}/directory/alias-re.html".encode(),
        )

    def test_odd(self) -> None:
        """
        A name that no file can have is not there; one that cannot be looked at is
        told of.
        """
        os.symlink("loop", self.directory + "/loop")
        taken, request = self.look("try_files /loop =404;", b"/")
        self.assertTrue(taken)
        self.assertEqual(request.logged[0][0], "crit")
        self.assertTrue(self.look("try_files $arg_a =404;", b"/?a=x%00"[:6] + b"\0")[0])

    def test_inherits(self) -> None:
        """
        It is not inherited.
        """
        text = "server { try_files a b; location / { } }"
        server = only(configure(text, PathOptions, TryFilesOptions), 0)
        self.assertIsNotNone(compileTryFiles(server, FakeBuild()))
        self.assertIsNone(compileTryFiles(server.inner[0], FakeBuild()))

    def test_invalid(self) -> None:
        """
        Codes have up to three digits.
        """
        for word in ("=x", "=1000", "="):
            error = self.assertRaises(
                ConfigError, self.look, f"try_files a {word};", b"/"
            )
            self.assertEqual(messages(error), [f'invalid code "{word}"'])
