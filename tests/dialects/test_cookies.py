"""
Tests for L{twisted_upstream.dialects.cookies}.
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
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.dialects.cookies import (
    CookieOptions,
    compileCookies,
    parseCookie,
)


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
        block = configure(f"server {{ {text} }}", CookieOptions, prefix="proxy")
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
