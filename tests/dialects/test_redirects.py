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
    compileCookies,
    compileRedirect,
    parseCookie,
    rewriteRefresh,
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

    def test_refresh(self) -> None:
        """
        In a Refresh, what follows C{url=} is rewritten.
        """

        def rewrite(value: bytes) -> bytes | None:
            return b"/new" if value == b"http://b/" else None

        for value, expected in (
            (b"7; url=http://b/", b"7; url=/new"),
            (b"7; URL=http://b/", b"7; URL=/new"),
            (b"7; url=http://c/", None),
            (b"7; http://b/", None),
        ):
            self.assertEqual(rewriteRefresh(rewrite, value), expected)


class CookieTests(SynchronousTestCase):
    """
    Set-Cookie is rewritten attribute by attribute.
    """

    def cookie(
        self, text: str, value: bytes, *path: int, target: bytes = b"/"
    ) -> object:
        """
        The new value of a Set-Cookie.
        """
        block = configure(f"server {{ {text} }}", RedirectOptions, prefix="proxy")
        build = FakeBuild()
        bind = compileCookies(only(block, 0, *path), "proxy", build)
        if bind is None:
            return "off"
        return run(bind, FakeRequest(target, build=build))(value)

    def test_parse(self) -> None:
        """
        Spaces around names and values do not count.
        """
        self.assertEqual(
            parseCookie(b"a = b=c ; Path= /x;Secure; "),
            [(b"a", b"b=c"), (b"Path", b"/x"), (b"Secure", None), (b"", None)],
        )

    def test_domain(self) -> None:
        """
        Domains are compared without regard to case and to a dot before them.
        """
        text = r"""
            proxy_cookie_domain www.example.org .example.com;
            proxy_cookie_domain .$server_name.com en.$server_name.org;
            proxy_cookie_domain ~^(.+)\.com$ $1.org;
        """
        for value, expected in (
            (b"www.Example.org", b"example.com"),
            (b".LocalHost.com", b".en.localhost.org"),
            (b"www.example.COM", b"www.example.org"),
            (b"a.www.example.org", None),
        ):
            result = self.cookie(text, b"v=domain=; Domain=" + value)
            wanted = None if expected is None else b"v=domain=; Domain=" + expected
            self.assertEqual(result, wanted)

    def test_path(self) -> None:
        """
        Paths by prefix or regular expression.
        """
        text = """
            proxy_cookie_path /path/ /new/;
            proxy_cookie_path /$server_name/ /new/$server_name/;
            proxy_cookie_path ~^/regex/(.+)$ /$1;
            proxy_cookie_path ~*^/caseless/(.+)$ /$1;
        """
        for value, expected in (
            (b"/path/test.html", b"/new/test.html"),
            (b"/localhost/test.html", b"/new/localhost/test.html"),
            (b"/regex/test.html", b"/test.html"),
            (b"/CASEless/test.html", b"/test.html"),
            (b"/REGEX/test.html", None),
        ):
            result = self.cookie(text, b"a=b;path=" + value)
            self.assertEqual(result, expected and b"a=b; path=" + expected, value)

    def test_onlyAttributes(self) -> None:
        """
        The cookie itself is none, and one without a value is left alone.
        """
        text = "proxy_cookie_path / /new/;"
        self.assertIsNone(self.cookie(text, b"path=/x"))
        self.assertIsNone(self.cookie(text, b"a; path=/x"))
        self.assertIsNone(self.cookie(text, b"a=b; path"))

    def test_flags(self) -> None:
        """
        Flags are added, kept, changed and taken away.
        """
        text = """
            proxy_cookie_flags a secure httponly samesite=none;
            proxy_cookie_flags d nosecure nohttponly nosamesite;
            proxy_cookie_flags $arg_n secure;
            proxy_cookie_flags ~BAR httponly;
        """
        for value, expected in (
            (b"a=x", b"a=x; Secure; HttpOnly; SameSite=None"),
            (b"A=x", b"A=x; Secure; HttpOnly; SameSite=None"),
            (
                b"a=x; secure; HttpOnly; SameSite=Lax",
                b"a=x; secure; HttpOnly; SameSite=None",
            ),
            (b"a=x; SAMESITE=NONE", b"a=x; SAMESITE=NONE; Secure; HttpOnly"),
            (b"a=x; samesite", b"a=x; SameSite=None; Secure; HttpOnly"),
            (b"d=x; Secure; Path=/; HttpOnly; SameSite=Lax", b"d=x; Path=/"),
            (b"n=x", b"n=x; Secure"),
            (b"foobar=x", b"foobar=x; HttpOnly"),
            (b"b=x", None),
        ):
            self.assertEqual(self.cookie(text, value, target=b"/?n=n"), expected, value)

    def test_flagVariables(self) -> None:
        """
        Flags may come from variables; words that are none do not count.
        """
        text = "proxy_cookie_flags a $arg_f $arg_g;"
        for args, expected in (
            (b"f=secure&g=SameSite%3DLax", b"a=b; Secure"),
            (b"f=Secure&g=samesite=Strict", b"a=b; Secure; SameSite=Strict"),
            (b"f=foo", None),
            (b"", None),
        ):
            self.assertEqual(
                self.cookie(text, b"a=b", target=b"/?" + args), expected, args
            )

    def test_together(self) -> None:
        """
        All rules may apply to one cookie.
        """
        text = (
            "proxy_cookie_domain a b; proxy_cookie_path / /x/;"
            " proxy_cookie_flags v httponly;"
        )
        self.assertEqual(
            self.cookie(text, b"v=1; Domain=a; Path=/y; Secure"),
            b"v=1; Domain=b; Path=/x/y; Secure; HttpOnly",
        )

    def test_off(self) -> None:
        """
        Each kind is inherited, and ended by C{off}, for itself.
        """
        text = """
            proxy_cookie_domain a b; proxy_cookie_path / /x/;
            location /in { }
            location /one { proxy_cookie_domain off; }
            location /all { proxy_cookie_domain off; proxy_cookie_path off; }
        """
        value = b"v=1; Domain=a; Path=/"
        self.assertEqual(self.cookie(text, value, 0), b"v=1; Domain=b; Path=/x/")
        self.assertEqual(self.cookie(text, value, 1), b"v=1; Domain=a; Path=/x/")
        self.assertEqual(self.cookie(text, value, 2), "off")

    def test_invalid(self) -> None:
        """
        A single word is C{off}, and stands alone.
        """
        for kind in ("domain", "path", "flags"):
            name = f"proxy_cookie_{kind}"
            error = self.assertRaises(ConfigError, self.cookie, f"{name} on;", b"")
            self.assertEqual(messages(error), ['invalid parameter "on"'])
            text = f"{name} a b; {name} off;"
            error = self.assertRaises(ConfigError, self.cookie, text, b"")
            self.assertEqual(messages(error), [f'"{name}" directive is duplicate'])
