"""
Tests for L{twisted_upstream.http.phases.rewrite}.
"""

from __future__ import annotations

import os
from typing import Any

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
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.error_page import ErrorPageOptions
from twisted_upstream.http.phases.paths import PathOptions
from twisted_upstream.http.phases.rewrite import RewriteOptions, compileRewrite

OPTIONS = (RewriteOptions, PathOptions, ErrorPageOptions)


class RewriteTestCase(SynchronousTestCase):
    """
    Runs the program of a location.
    """

    def location(self, text: str) -> Block:
        return only(
            configure(f"server {{ location / {{\n{text}\n}} }}", *OPTIONS), 0, 0
        )

    def run_(
        self, text: str, target: bytes = b"/", **attributes: Any
    ) -> tuple[bool, FakeRequest]:
        """
        Run C{text} for a request; answers whether the phase has taken over.
        """
        build = FakeBuild()
        phase = compileRewrite(self.location(text), build)
        assert phase is not None
        self.assertEqual(build.unknown(), [])
        request = FakeRequest(target, build=build)
        for name, value in attributes.items():
            setattr(request, name, value)
        return run(phase, request), request


class ReturnTests(RewriteTestCase):
    """
    C{return} answers at once.
    """

    def test_text(self) -> None:
        """
        A text is the whole body; its type is that of the URI.
        """
        taken, request = self.run_('return 200 "uri:$uri";', b"/a.html")
        self.assertTrue(taken)
        self.assertEqual(request.done, [("sendResponse", 200)])
        self.assertEqual(request.body, b"uri:/a.html")
        self.assertEqual(request.response.contentType, b"text/html")
        self.assertEqual(request.response.contentLength, 11)

    def test_withoutText(self) -> None:
        """
        Below 400 the body is empty; from 400 on it is an error like any other.
        """
        self.assertEqual(self.run_("return 200;")[1].body, b"")
        self.assertEqual(self.run_("return 306;")[1].done, [("sendResponse", 306)])
        self.assertEqual(self.run_("return 405;")[1].done, [("failResponse", 405)])
        self.assertEqual(self.run_("return 444;")[1].done, [("failResponse", 444)])

    def test_errorWithText(self) -> None:
        """
        A text takes the place of the error page.
        """
        request = self.run_('return 404 "text";')[1]
        self.assertEqual(request.done, [("sendResponse", 404)])
        self.assertEqual(request.body, b"text")

    def test_noContent(self) -> None:
        """
        204 has neither body nor type.
        """
        head = self.run_('return 204 "text";')[1].response
        self.assertIsNone(head.contentType)
        self.assertTrue(head.noBody)

    def test_noContentAfterError(self) -> None:
        """
        Where an error led to C{return 204}, the error's status and a body are sent.
        """
        request = self.run_("return 204;", errorStatus=405)[1]
        self.assertEqual(request.done, [("sendResponse", 405)])
        self.assertEqual(request.response.contentLength, 0)

    def test_redirect(self) -> None:
        """
        The text of a redirect is its Location; C{error_page} may still see it.
        """
        for status in (301, 302, 303, 307, 308):
            request = self.run_(f"return {status} /x$uri;", b"/a")[1]
            self.assertEqual(request.redirectTo, b"/x/a")
            self.assertEqual(request.done, [("failResponse", status)])

    def test_url(self) -> None:
        """
        A URL alone is a temporary redirect.
        """
        for url in ("http://a/$args", "https://a/$args", "$scheme://a/$args"):
            request = self.run_(f"return {url};", b"/?b")[1]
            self.assertEqual(request.done, [("failResponse", 302)])
            self.assertTrue((request.redirectTo or b"").endswith(b"://a/b"))

    def test_keepsLocation(self) -> None:
        """
        A Location decided on before stays: C{error_page 302} to a text.
        """
        request = self.run_(
            'return 200 "text";', redirectTo=b"/there", errorStatus=302
        )[1]
        self.assertEqual(request.response.status, 302)
        self.assertEqual(request.response.location, b"/there")

    def test_conditions(self) -> None:
        """
        What the client asks of an entity tag holds for texts too.
        """
        build = FakeBuild()
        phase = compileRewrite(self.location("return 200 text;"), build)
        assert phase is not None
        request = FakeRequest(fields=b'\r\nIf-Match: "a"', build=build)
        run(phase, request)
        self.assertEqual(request.done, [("failResponse", 412)])

    def test_invalid(self) -> None:
        """
        Codes have up to three digits; other words must be URLs.
        """
        for words in ("1000", "foo", "foo bar", "http://a b", "-1"):
            error = self.assertRaises(ConfigError, self.run_, f"return {words};")
            self.assertEqual(
                messages(error), [f'invalid return code "{words.split()[0]}"']
            )


class SetTests(RewriteTestCase):
    """
    C{set} assigns.
    """

    def test_assigns(self) -> None:
        """
        In the order of the file.
        """
        text = 'set $a 1; set $b "$a-${uri}"; set $a 2; return 200 "$a $b";'
        self.assertEqual(self.run_(text, b"/x")[1].body, b"2 1-/x")

    def test_unsetIsEmpty(self) -> None:
        """
        A variable that another path would have set is empty.
        """
        text = 'if ($arg_x) { set $a 1; } return 200 "[$a]";'
        self.assertEqual(self.run_(text, b"/")[1].body, b"[]")
        self.assertEqual(self.run_(text, b"/?x=1")[1].body, b"[1]")

    def test_builtIn(self) -> None:
        """
        C{$args} can be changed, most others cannot.
        """
        self.assertEqual(self.run_("set $args a=b;")[1].args, b"a=b")
        error = self.assertRaises(ConfigError, self.run_, "set $host a;")
        self.assertEqual(messages(error), ['the duplicate "host" variable'])

    def test_noDollar(self) -> None:
        """
        A name begins with a dollar.
        """
        error = self.assertRaises(ConfigError, self.run_, "set a b;")
        self.assertEqual(messages(error), ['invalid variable name "a"'])

    def test_captureIsEscaped(self) -> None:
        """
        Captures of the decoded URI are escaped if the client had escaped anything.
        """
        captures = (b"/a b", b"a b")
        text = 'set $x $1; return 200 "$x";'
        for target, expected in ((b"/a%20b", b"a%20b"), (b"/a", b"a b")):
            request = self.run_(text, target, captures=captures)[1]
            self.assertEqual(request.body, expected)

    def test_captureAfterRewrite(self) -> None:
        """
        After a rewrite that matched they are not.
        """
        text = 'rewrite ^/(.*) /x/$1; set $x $1; return 200 "$x";'
        self.assertEqual(self.run_(text, b"/a%20b")[1].body, b"a b")


class RewriteTests(RewriteTestCase):
    """
    C{rewrite} changes the URI or redirects.
    """

    def test_relocates(self) -> None:
        """
        Another URI looks for its location.
        """
        taken, request = self.run_("rewrite ^/a(.*)$ /b$1;", b"/a/c")
        self.assertTrue(taken)
        self.assertEqual(request.uri, b"/b/c")
        self.assertEqual(request.done, [("relocate",)])
        self.assertTrue(request.internal)
        self.assertFalse(request.validUnparsed)

    def test_noMatch(self) -> None:
        """
        A URI that does not match stays.
        """
        taken, request = self.run_("rewrite ^/x /b;", b"/a")
        self.assertFalse(taken)
        self.assertEqual((request.uri, request.done), (b"/a", []))
        self.assertTrue(request.validUnparsed)

    def test_goesOn(self) -> None:
        """
        Without a flag the next lines see the new URI.
        """
        request = self.run_("rewrite ^/a /b; rewrite ^/b /c;", b"/a")[1]
        self.assertEqual(request.uri, b"/c")

    def test_last(self) -> None:
        """
        C{last} skips the rest.
        """
        request = self.run_("rewrite ^/a /b last; rewrite ^/b /c;", b"/a")[1]
        self.assertEqual((request.uri, request.done), (b"/b", [("relocate",)]))

    def test_break(self) -> None:
        """
        C{break} skips the rest and stays, under a name that no longer fits.
        """
        taken, request = self.run_("rewrite ^/a /b break; rewrite ^/b /c;", b"/a")
        self.assertFalse(taken)
        self.assertEqual((request.uri, request.done), (b"/b", []))
        self.assertFalse(request.validLocation)

    def test_breakDirective(self) -> None:
        """
        C{break;} after a rewrite does the same; alone it only stops.
        """
        taken, request = self.run_("rewrite ^/a /b; break; return 500;", b"/a")
        self.assertFalse(taken)
        self.assertFalse(request.validLocation)
        taken, request = self.run_("break; return 500;", b"/a")
        self.assertFalse(taken)
        self.assertTrue(request.validLocation)

    def test_args(self) -> None:
        """
        New arguments come before the old ones, which a final C{?} drops.
        """
        for replacement, expected in (
            ("/b", b"x=y"),
            ("/b?c=d", b"c=d&x=y"),
            ("/b?c=d?", b"c=d"),
            ("/b?", b""),
        ):
            request = self.run_(f"rewrite ^ {replacement};", b"/a?x=y")[1]
            self.assertEqual((request.uri, request.args), (b"/b", expected))

    def test_capturesInArgs(self) -> None:
        """
        In the URI captures are as decoded, in the arguments they are escaped.
        """
        text = 'rewrite ^(.*) $1?c=$1; return 200 "uri:$uri args:$args";'
        self.assertEqual(
            self.run_(text, b"/%25?a=b")[1].body, b"uri:/% args:c=/%25&a=b"
        )

    def test_redirect(self) -> None:
        """
        C{redirect}, C{permanent} and URLs answer at once, with the arguments.
        """
        for text, status, location in (
            ("rewrite ^ http://a/ redirect;", 302, b"http://a/?x=y"),
            ("rewrite ^ http://a/?c=d permanent;", 301, b"http://a/?c=d&x=y"),
            ("rewrite ^ https://a/?c=d?;", 302, b"https://a/?c=d"),
            ("rewrite ^ $scheme://a/ last;", 302, b"http://a/?x=y"),
            ("rewrite ^/(.*) /b/$1 redirect;", 302, b"/b/a?x=y"),
        ):
            request = self.run_(text, b"/a?x=y")[1]
            self.assertEqual(request.done, [("failResponse", status)])
            self.assertEqual(request.redirectTo, location)

    def test_redirectEscapes(self) -> None:
        """
        What cannot stand in a Location stays escaped.
        """
        for text, target, location in (
            (
                "rewrite ^ $arg_r? redirect;",
                b"/?r=http%3A%2F%2Fa%2F%3Fb",
                b"http://a/?b",
            ),
            (
                "rewrite ^ $arg_r? redirect;",
                b"/?r=http%3A//a%0D%0Ab",
                b"http://a%0D%0Ab",
            ),
            ("rewrite ^(.*) http://a$1 redirect;", b"/b%20c", b"http://a/b%20c"),
        ):
            self.assertEqual(self.run_(text, target)[1].redirectTo, location)

    def test_emptyURI(self) -> None:
        """
        A URI of nothing is an error.
        """
        request = self.run_("rewrite ^/(x?) $1;", b"/")[1]
        self.assertEqual(request.done, [("failResponse", 500)])
        self.assertEqual(
            request.logged, [("error", "the rewritten URI has a zero length", 0)]
        )

    def test_log(self) -> None:
        """
        C{rewrite_log} tells what happens.
        """
        text = "rewrite_log on; rewrite ^/x /y; rewrite ^/a(.) /b?c;"
        self.assertEqual(
            [line[1] for line in self.run_(text, b"/a1")[1].logged],
            [
                '"^/x" does not match "/a1"',
                '"^/a(.)" matches "/a1"',
                'rewritten data: "/b", args: "c"',
            ],
        )

    def test_invalid(self) -> None:
        """
        Unknown flags and empty replacements are refused.
        """
        for words, message in (
            ("^ /a first", 'invalid parameter "first"'),
            ('^ ""', "empty replacement"),
            ("( /a", 'pcre2_compile() failed: missing closing parenthesis in "("'),
            ("^ $", 'invalid variable name in "$"'),
        ):
            error = self.assertRaises(ConfigError, self.run_, f"rewrite {words};")
            self.assertEqual(messages(error), [message])


class IfTests(RewriteTestCase):
    """
    C{if} runs its block, and moves the request to its configuration.
    """

    def isTrue(self, condition: str, target: bytes) -> bool:
        return self.run_(f"if ({condition}) {{ return 204; }}", target)[0]

    def test_variable(self) -> None:
        """
        Nothing and C{0} are false.
        """
        self.assertTrue(self.isTrue("$arg_c", b"/?c=1"))
        self.assertTrue(self.isTrue(" $arg_c ", b"/?c=00"))
        self.assertFalse(self.isTrue("$arg_c", b"/?c=0"))
        self.assertFalse(self.isTrue("$arg_c", b"/?c="))
        self.assertFalse(self.isTrue("$arg_c", b"/"))

    def test_equal(self) -> None:
        """
        Texts are compared as they are.
        """
        self.assertTrue(self.isTrue("$arg_c = 1", b"/?c=1"))
        self.assertFalse(self.isTrue("$arg_c = 1", b"/?c=2"))
        self.assertTrue(self.isTrue("$arg_c != 2", b"/?c=1"))
        self.assertFalse(self.isTrue("$arg_c != 2", b"/?c=2"))
        self.assertTrue(self.isTrue("$arg_c = $arg_d", b"/?c=1&d=1"))
        self.assertTrue(self.isTrue('$arg_c = ""', b"/"))

    def test_regex(self) -> None:
        """
        With and without regard to case, negated or not.
        """
        for operator, results in (
            ("~", (True, False, False)),
            ("~*", (True, True, False)),
            ("!~", (False, True, True)),
            ("!~*", (False, False, True)),
        ):
            for value, expected in zip(
                (b"food", b"FOOD", b"bar"), results, strict=True
            ):
                self.assertEqual(
                    self.isTrue(f"$arg_c {operator} foo", b"/?c=" + value), expected
                )

    def test_captures(self) -> None:
        """
        Captures of the condition are for the block.
        """
        text = 'if ($arg_c ~ "^(?<n>.)(.)") { return 200 "$n$2"; }'
        self.assertEqual(self.run_(text, b"/?c=xyz")[1].body, b"xy")

    def test_noCaptures(self) -> None:
        """
        A condition that does not match forgets what was captured before.
        """
        text = 'if ($uri ~ "^(/)x") { } return 200 "[$1]";'
        self.assertEqual(self.run_(text, captures=(b"a", b"b"))[1].body, b"[]")

    def test_files(self) -> None:
        """
        C{-f}, C{-d}, C{-e} and C{-x}, and their opposites.
        """
        directory = self.mktemp()
        os.makedirs(directory + "/dir")
        with open(directory + "/file", "w"):
            pass
        os.chmod(directory + "/file", 0o644)
        for test, results in (
            ("-f", (True, False, False)),
            ("-d", (False, True, False)),
            ("-e", (True, True, False)),
            ("-x", (False, True, False)),
        ):
            names = (b"file", b"dir", b"nx")
            for name, expected in zip(names, results, strict=True):
                path = os.path.abspath(directory) + "/$arg_c"
                target = b"/?c=" + name
                self.assertIs(self.isTrue(f"{test} {path}", target), expected)
                self.assertIs(self.isTrue(f"!{test} {path}", target), not expected)

    def test_movesTheRequest(self) -> None:
        """
        The configuration of the last true C{if} counts.
        """
        text = "if ($arg_a) { } if ($arg_b) { set $x 1; } if ($arg_c) { }"
        block = self.location(text)
        build = FakeBuild()
        phase = compileRewrite(block, build)
        assert phase is not None
        for target, index in ((b"/?a=1", 0), (b"/?a=1&b=1", 1), (b"/?c=1&a=1", 2)):
            request = FakeRequest(target, build=build)
            self.assertFalse(run(phase, request))
            self.assertIs(request.location, build.locationFor(block.inner[index]))

    def test_rewriteInside(self) -> None:
        """
        A rewrite in the block changes the URI for what follows it.
        """
        text = 'if ($uri) { rewrite ^/a /b; } rewrite ^/b /c; set $x "$uri";'
        request = self.run_(text, b"/a")[1]
        self.assertEqual(request.values["x"], b"/c")
        self.assertEqual(request.done, [("relocate",)])

    def test_breakInside(self) -> None:
        """
        A C{break} in the block stops all of it.
        """
        taken, request = self.run_("if ($uri) { break; } return 500;")
        self.assertFalse(taken)

    def test_falseSkipsAll(self) -> None:
        """
        Of a false one, nothing in the block runs.
        """
        text = "if ($arg_a) { set $x 1; rewrite ^ /x; return 500; } return 204;"
        self.assertEqual(self.run_(text)[1].done, [("sendResponse", 204)])

    def test_invalid(self) -> None:
        """
        Conditions have one or three words.
        """
        for condition, message in (
            ("$uri", 'invalid condition "$uri"'),
            ("(uri)", 'invalid condition "uri"'),
            ("($uri =)", 'invalid condition "$uri"'),
            ("($uri a b c)", 'invalid condition "$uri"'),
            ("($uri == b)", 'unexpected "==" in condition'),
            ("(-z /x)", 'invalid condition "-z"'),
            ("(-f)", 'invalid condition "-f"'),
            ("($)", 'invalid condition "$"'),
            ("()", 'invalid condition ""'),
        ):
            text = f"if {condition} {{ }}"
            error = self.assertRaises(ConfigError, self.run_, text)
            self.assertEqual(messages(error), [message])


class PlaceTests(SynchronousTestCase):
    """
    Where programs are.
    """

    def test_none(self) -> None:
        """
        A place without lines has none, and does not inherit one.
        """
        server = only(configure("server { set $x 1; location / { } }", *OPTIONS), 0)
        self.assertIsNotNone(compileRewrite(server, FakeBuild()))
        self.assertIsNone(compileRewrite(server.inner[0], FakeBuild()))

    def test_ifHasNone(self) -> None:
        """
        The lines of an C{if} belong to the program around it.
        """
        location = only(
            configure("server { location / { if ($uri) { set $x 1; } } }", *OPTIONS),
            *(0, 0),
        )
        self.assertIsNone(compileRewrite(location.inner[0], FakeBuild()))

    def test_server(self) -> None:
        """
        In a server the URI changes before a location was looked for.
        """
        server = only(
            configure(
                "server { if ($arg_a) { rewrite ^ /b; } rewrite ^/c /d last; }",
                *OPTIONS,
            ),
            0,
        )
        build = FakeBuild()
        phase = compileRewrite(server, build)
        assert phase is not None
        for target, uri in ((b"/?a=1", b"/b"), (b"/c", b"/d")):
            request = FakeRequest(target, build=build)
            self.assertFalse(run(phase, request))
            self.assertEqual((request.uri, request.done), (uri, []))
            self.assertIsNone(request.location)

    def test_nestedIf(self) -> None:
        """
        There is no C{if} in an C{if}.
        """
        error = self.assertRaises(
            ConfigError,
            configure,
            "server { location / { if ($a) { if ($b) { } } } }",
            *OPTIONS,
        )
        self.assertEqual(messages(error), ['"if" directive is not allowed here'])
