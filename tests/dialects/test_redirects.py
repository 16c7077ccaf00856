"""
Tests for L{twisted_upstream.dialects.redirects}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    messages,
    only,
    run,
)
from twisted_upstream.config.build import Block
from twisted_upstream.config.directive import Where
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.dialects.redirects import (
    PassUrl,
    RedirectOptions,
    compileRedirect,
)


def passUrl(block: Block) -> PassUrl | None:
    """
    What a dialect tells of its C{proxy_pass}.
    """
    nodes = block.nodes("proxy_pass")
    if not nodes or block.where is not Where.LOCATION:
        return None
    url = nodes[0].words[0]
    if "$" in url:
        return PassUrl(None, False, "")
    return PassUrl(url, url.count("/") > 2, block.node.words[-1])


class RedirectTests(SynchronousTestCase):
    """
    Location is rewritten by the first rule that matches.
    """

    def redirect(
        self, text: str, value: bytes, *path: int, target: bytes = b"/"
    ) -> bytes | None:
        """
        The new value of a Location in a block of a server with C{text}.
        """
        block = configure(f"server {{ {text} }}", RedirectOptions, prefix="proxy")
        build = FakeBuild()
        bind = compileRedirect(only(block, 0, *path), "proxy", build, passUrl)
        if bind is None:
            return None
        return run(bind, FakeRequest(target, build=build))(value)

    def test_rules(self) -> None:
        """
        Prefixes and regular expressions, with variables on both sides.
        """
        text = """
            proxy_redirect http://b/from/ /$arg_a/;
            proxy_redirect http://b/$arg_a/ /replaced/;
            proxy_redirect ~^(.+)/regex_w_([^/]+) $1/$2/test.html;
            proxy_redirect ~*re+gexp? /caseless;
        """
        for value, expected in (
            (b"http://b/from/x", b"/here/x"),
            (b"http://b/here/x", b"/replaced/x"),
            (b"http://b/regex_w_it/x", b"http://b/it/test.html"),
            (b"http://b/ReeegEX/x", b"/caseless"),
            (b"HTTP://B/FROM/", None),
            (b"http://c/", None),
        ):
            self.assertEqual(
                self.redirect(text, value, target=b"/?a=here"), expected, value
            )

    def test_implicitDefault(self) -> None:
        """
        What was passed to becomes what was asked for.
        """
        for url, value, expected in (
            ("http://b/two/", b"http://b/two/x", b"/one/x"),
            ("http://b", b"http://b/x", b"/x"),
            ("http://b", b"http://b", None),
            ("http://b/$uri", b"http://b/x", None),
        ):
            text = f"location /one/ {{ proxy_pass {url}; }}"
            self.assertEqual(self.redirect(text, value, 0), expected, url)

    def test_explicitDefault(self) -> None:
        """
        C{default} may stand among others.
        """
        text = """
            location /one/ {
                proxy_pass http://b/two/;
                proxy_redirect http://b/two/x /first;
                proxy_redirect default;
            }
        """
        self.assertEqual(self.redirect(text, b"http://b/two/x", 0), b"/first")
        self.assertEqual(self.redirect(text, b"http://b/two/y", 0), b"/one/y")

    def test_off(self) -> None:
        """
        C{off} ends it, until an inner block says otherwise.
        """
        text = """
            location /off/ {
                proxy_pass http://b/;
                proxy_redirect off;
                location /off/in/ { proxy_pass http://b/; }
                location /off/on/ {
                    proxy_pass http://b;
                    proxy_redirect http://b/off/ /;
                    location /off/on/on/ { proxy_pass http://b; }
                }
            }
        """
        value = b"http://b/off/x"
        self.assertIsNone(self.redirect(text, value, 0))
        self.assertIsNone(self.redirect(text, value, 0, 0))
        self.assertEqual(self.redirect(text, value, 0, 1), b"/x")
        self.assertEqual(self.redirect(text, value, 0, 1, 0), b"/x")

    def test_inheritsDefault(self) -> None:
        """
        The unwritten default of an outer location is inherited as well.
        """
        text = """
            location /one/ {
                proxy_pass http://b/two/;
                location /one/in/ { proxy_pass http://c/; }
            }
        """
        self.assertEqual(self.redirect(text, b"http://b/two/x", 0, 0), b"/one/x")
        self.assertIsNone(self.redirect(text, b"http://c/x", 0, 0))

    def test_outerRules(self) -> None:
        """
        Rules of the server keep locations from having a default.
        """
        text = "proxy_redirect a b; location /one/ { proxy_pass http://b/two/; }"
        self.assertEqual(self.redirect(text, b"ax", 0), b"bx")
        self.assertIsNone(self.redirect(text, b"http://b/two/", 0))

    def test_nothing(self) -> None:
        """
        Where nothing is passed and nothing is said, nothing is rewritten.
        """
        block = configure("server { }", RedirectOptions, prefix="proxy")
        bind = compileRedirect(only(block, 0), "proxy", FakeBuild(), passUrl)
        self.assertIsNone(bind)

    def test_invalid(self) -> None:
        """
        C{default} needs a constant C{proxy_pass} before it, C{off} stands alone.
        """
        for text, message in (
            ("proxy_redirect foo;", 'invalid parameter "foo"'),
            (
                "proxy_redirect off; proxy_redirect a b;",
                '"proxy_redirect" directive is duplicate',
            ),
            (
                "proxy_redirect a b; proxy_redirect off;",
                '"proxy_redirect" directive is duplicate',
            ),
            (
                "proxy_redirect default; proxy_pass http://b;",
                '"proxy_redirect default" should be placed after the "proxy_pass"'
                " directive",
            ),
            (
                "proxy_redirect default;",
                '"proxy_redirect default" should be placed after the "proxy_pass"'
                " directive",
            ),
            (
                "proxy_pass http://$host; proxy_redirect default;",
                '"proxy_redirect default" cannot be used with "proxy_pass" directive'
                " with variables",
            ),
            (
                "proxy_redirect ~( b;",
                'pcre2_compile() failed: missing closing parenthesis in "("',
            ),
        ):
            text = f"location / {{ {text} }}"
            error = self.assertRaises(ConfigError, self.redirect, text, b"", 0)
            self.assertEqual(messages(error), [message])
