"""
Tests for L{twisted_upstream.http.phases.paths}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    configureWithWarnings,
    messages,
    only,
    run,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.paths import (
    PathOptions,
    compilePaths,
    compileType,
    extension,
)
from twisted_upstream.http.phases.rewrite import RewriteOptions


class PathTests(SynchronousTestCase):
    """
    URIs become paths.
    """

    def path(self, text: str, uri: bytes, *path: int) -> bytes:
        """
        The path of C{uri} in a block of a server with C{text}.
        """
        block = configure(f"server {{ {text} }}", PathOptions, RewriteOptions)
        build = FakeBuild(prefix="/prefix")
        paths = compilePaths(only(block, 0, *path), build)
        request = FakeRequest(uri, build=build)
        request.captures = (b"", b"one")
        self.assertTrue(run(paths.usable, request))
        return run(paths.path, request)

    def test_root(self) -> None:
        """
        C{root} is put before the URI; relative ones are under the prefix.
        """
        for text, expected in (
            ("", b"/prefix/html/a/b"),
            ("root /data;", b"/data/a/b"),
            ("root /data/;", b"/data/a/b"),
            ("root data;", b"/prefix/data/a/b"),
            ("root /;", b"/a/b"),
            ("root /d/$host;", b"/d/localhost/a/b"),
            ("root $host;", b"/prefix/localhost/a/b"),
        ):
            self.assertEqual(self.path(text, b"/a/b"), expected, text)

    def test_alias(self) -> None:
        """
        C{alias} takes the place of the location's name.
        """
        for text, expected in (
            ("location /i/ { alias /data/; }", b"/data/a"),
            ("location /i { alias /data; }", b"/data/a"),
            ("location ^~ /i/ { alias data/; }", b"/prefix/data/a"),
            ("location = /i/a { alias /data/x; }", b"/data/x"),
            ("location =/i/a { alias /data/x; }", b"/data/x"),
            ("location /i/ { alias /d/$host/; }", b"/d/localhost/a"),
        ):
            self.assertEqual(self.path(text, b"/i/a", 0), expected, text)

    def test_aliasOfRegex(self) -> None:
        """
        In a location given by a regular expression it is the whole path.
        """
        for modifier in ("~ ", "~* ", "~"):
            text = f"location {modifier}/i/(.*) {{ alias /data/$1; }}"
            self.assertEqual(self.path(text, b"/i/a", 0), b"/data/one")
        text = "location ~ /i { alias /data; }"
        self.assertEqual(self.path(text, b"/i/a", 0), b"/data")

    def test_inherits(self) -> None:
        """
        The nearest of both counts; an inherited alias stands for the outer name.
        """
        text = (
            "root /r; location /i/ { alias /data/;"
            " location /i/a/ { } location /i/b/ { root /s; } if ($uri) { } }"
        )
        self.assertEqual(self.path(text, b"/i/a/x", 0, 0), b"/data/a/x")
        self.assertEqual(self.path(text, b"/i/b/x", 0, 1), b"/s/i/b/x")
        self.assertEqual(self.path(text, b"/i/x", 0, 2), b"/data/x")

    def test_rewritten(self) -> None:
        """
        After C{rewrite ... break} an alias cannot be used; a root can.
        """
        for text, usable in (("alias /d/;", False), ("root /d;", True)):
            block = configure(f"server {{ location /i/ {{ {text} }} }}", PathOptions)
            paths = compilePaths(only(block, 0, 0), FakeBuild())
            request = FakeRequest(b"/i/a")
            request.validLocation = False
            self.assertEqual(run(paths.usable, request), usable)
            self.assertEqual(
                [line[0] for line in request.logged], [] if usable else ["alert"]
            )

    def test_invalid(self) -> None:
        """
        Both in one place, and variables that depend on them, are refused.
        """
        for text, message in (
            (
                "location / { root /a; alias /b; }",
                '"alias" directive is duplicate, "root" directive was specified earlier',
            ),
            (
                "location / { root /a$document_root; }",
                'the $document_root variable cannot be used in the "root" directive',
            ),
            (
                "location / { alias ${realpath_root}; }",
                'the $realpath_root variable cannot be used in the "alias" directive',
            ),
            (
                "location @x { alias /a; }",
                'the "alias" directive cannot be used inside the named location',
            ),
        ):
            error = self.assertRaises(ConfigError, self.path, text, b"/", 0)
            self.assertEqual(messages(error), [message])


class TypeTests(SynchronousTestCase):
    """
    Extensions have types.
    """

    def typeOf(self, text: str, uri: bytes, *path: int) -> bytes | None:
        block = configure(f"server {{ {text} }}", PathOptions)
        return compileType(only(block, 0, *path))(uri)

    def test_extension(self) -> None:
        """
        It follows the last dot of the last part, which must not begin the part.
        """
        for uri, expected in (
            (b"/a.html", b"html"),
            (b"/a.tar.gz", b"gz"),
            (b"/a.b/c", b""),
            (b"/.html", b""),
            (b"/a/.html", b""),
            (b"/a.", b""),
            (b"/", b""),
        ):
            self.assertEqual(extension(uri), expected, uri)

    def test_default(self) -> None:
        """
        A few types are known when none are written.
        """
        for uri, expected in (
            (b"/a.html", b"text/html"),
            (b"/a.HTML", b"text/html"),
            (b"/a.gif", b"image/gif"),
            (b"/a.jpg", b"image/jpeg"),
            (b"/a.css", b"text/plain"),
            (b"/a", b"text/plain"),
        ):
            self.assertEqual(self.typeOf("", uri), expected, uri)

    def test_types(self) -> None:
        """
        Those of the innermost block replace all others.
        """
        text = (
            "types { text/css CSS; } types { a/b x y; } default_type z/z;"
            " location / { types { } } location /x { }"
        )
        self.assertEqual(self.typeOf(text, b"/a.css"), b"text/css")
        self.assertEqual(self.typeOf(text, b"/a.y"), b"a/b")
        self.assertEqual(self.typeOf(text, b"/a.html"), b"z/z")
        self.assertEqual(self.typeOf(text, b"/a.css", 0), b"z/z")
        self.assertEqual(self.typeOf(text, b"/a.css", 1), b"text/css")

    def test_none(self) -> None:
        """
        An empty default type is no type.
        """
        self.assertIsNone(self.typeOf('default_type "";', b"/a"))

    def test_duplicate(self) -> None:
        """
        Of an extension with two types, the last counts, with a warning.
        """
        text = "types { a/b x; c/d x; }"
        block, warnings = configureWithWarnings(text, PathOptions)
        self.assertEqual(compileType(block)(b"/a.x"), b"c/d")
        self.assertEqual(
            [warning.message for warning in warnings],
            [
                'duplicate extension "x", content type: "c/d",'
                ' previous content type: "a/b"'
            ],
        )
