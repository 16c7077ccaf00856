"""
Tests for L{twisted_upstream.http.phases.error_page}.
"""

from __future__ import annotations

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
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.error_page import (
    PRODUCT,
    ErrorPageOptions,
    builtinPage,
    compileErrorPages,
    ownHead,
    signature,
    statusText,
)

CHROME = b"\r\nUser-Agent: Mozilla/5.0 (like Gecko) Chrome/99 Safari/5"
FIREFOX = b"\r\nUser-Agent: Mozilla/5.0 Gecko/2010 Chrome/99"
MSIE = b"\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows)"


def fail(
    text: str, status: int, target: bytes = b"/", **attributes: Any
) -> FakeRequest:
    """
    Fail a request with C{status} in a location with C{text}.
    """
    build = FakeBuild()
    block = only(configure(f"server {{ location / {{ {text} }} }}", ErrorPageOptions))
    answer = compileErrorPages(only(block, 0, 0), build)
    request = FakeRequest(target, fields=attributes.pop("fields", b""), build=build)
    for name, value in attributes.items():
        setattr(request, name, value)
    run(answer, request, status)
    return request


class BuiltinPageTests(SynchronousTestCase):
    """
    Pages of our own look like nginx's.
    """

    def test_page(self) -> None:
        """
        A title, a heading, a line, a signature.
        """
        self.assertEqual(
            builtinPage(404, b"nginx"),
            b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
            b"<center><h1>404 Not Found</h1></center>\r\n"
            b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        )

    def test_badRequests(self) -> None:
        """
        nginx's own codes are 400 for the client, with a line that says more.
        """
        page = builtinPage(497, b"nginx")
        said = b"The plain HTTP request was sent to HTTPS port"
        self.assertIn(b"<title>400 %b</title>" % said, page)
        self.assertIn(b"<h1>400 Bad Request</h1></center>\r\n<center>" + said, page)

    def test_headings(self) -> None:
        """
        Some pages are headed otherwise than the status line.
        """
        self.assertIn(b"<h1>302 Found</h1>", builtinPage(302, b"n"))
        self.assertEqual(statusText(302), b"302 Moved Temporarily")
        self.assertIn(b"<h1>401 Authorization Required</h1>", builtinPage(401, b"n"))

    def test_none(self) -> None:
        """
        Most statuses have no page, and no text.
        """
        for status in (200, 204, 206, 300, 304, 305, 306, 418, 426, 499, 506, 599):
            self.assertEqual(builtinPage(status, b"nginx"), b"", status)
        self.assertEqual(statusText(418), b"418 ")
        self.assertEqual(statusText(99), b"099 ")

    def test_signature(self) -> None:
        """
        C{server_tokens} decides what we call ourselves.
        """
        for text, expected in (
            ("", PRODUCT),
            ("server_tokens on;", PRODUCT),
            ("server_tokens build;", PRODUCT),
            ("server_tokens off;", b"nginx"),
        ):
            self.assertEqual(signature(configure(text, ErrorPageOptions)), expected)


class AnswerTests(SynchronousTestCase):
    """
    Errors without an C{error_page} get the built-in page.
    """

    def test_page(self) -> None:
        """
        The page is HTML and carries the version if it may.
        """
        request = fail("", 404)
        self.assertEqual(request.done, [("sendResponse", 404)])
        self.assertEqual(request.response.contentType, b"text/html")
        self.assertEqual(request.body, builtinPage(404, PRODUCT))
        request = fail("server_tokens off;", 404)
        self.assertEqual(request.body, builtinPage(404, b"nginx"))

    def test_withoutPage(self) -> None:
        """
        Where there is no page the body is empty and has no type.
        """
        request = fail("", 418)
        self.assertEqual(request.body, b"")
        self.assertIsNone(request.response.contentType)
        self.assertEqual(request.response.contentLength, 0)

    def test_redirect(self) -> None:
        """
        A redirect carries its Location.
        """
        request = fail("", 301, redirectTo=b"/there")
        self.assertEqual(request.response.location, b"/there")
        self.assertIn(b"301 Moved Permanently", request.body)

    def test_badRequests(self) -> None:
        """
        nginx's own codes are 400 for the client.
        """
        for status in (494, 495, 496, 497):
            request = fail("", status)
            self.assertEqual(request.response.status, 400)
            self.assertIn(b"<title>400 ", request.body)

    def test_closes(self) -> None:
        """
        After some errors the connection is not kept.
        """
        for status in (400, 413, 414, 495, 496, 497, 500, 501):
            self.assertFalse(fail("", status).keepalive, status)
        for status in (301, 403, 404, 416, 494, 502):
            self.assertTrue(fail("", status).keepalive, status)

    def test_padding(self) -> None:
        """
        Browsers that prefer their own pages get larger ones.
        """
        plain = len(fail("", 404).body)
        for fields in (CHROME, MSIE):
            self.assertGreater(len(fail("", 404, fields=fields).body), 512)
            off = fail("msie_padding off;", 404, fields=fields)
            self.assertEqual(len(off.body), plain)
            redirect = fail("", 302, fields=fields)
            self.assertLess(len(redirect.body), 512)
        self.assertEqual(len(fail("", 404, fields=FIREFOX).body), plain)
        self.assertEqual(len(fail("", 404, fields=CHROME, version=9).body), plain)

    def test_refresh(self) -> None:
        """
        C{msie_refresh} redirects by a page.
        """
        request = fail("msie_refresh on;", 302, fields=MSIE, redirectTo=b'/a"b')
        self.assertEqual(request.response.status, 200)
        self.assertIsNone(request.response.location)
        self.assertIn(b'URL=/a%22b"', request.body)


class ErrorPageTests(SynchronousTestCase):
    """
    C{error_page} sends a request elsewhere.
    """

    def test_uri(self) -> None:
        """
        To another URI, by GET; the status stays.
        """
        request = fail("error_page 404 405 /e?a=b;", 405, method=b"POST")
        self.assertEqual(request.done, [("internalRedirect", b"/e", b"a=b")])
        self.assertEqual(request.method, b"GET")
        self.assertEqual(request.errorStatus, 405)
        self.assertEqual(run(ownHead, request, 200).status, 405)

    def test_head(self) -> None:
        """
        HEAD stays HEAD.
        """
        self.assertEqual(
            fail("error_page 404 /e;", 404, method=b"HEAD").method, b"HEAD"
        )

    def test_variables(self) -> None:
        """
        The URI may be computed; arguments begin at its C{?}.
        """
        request = fail("error_page 404 /e$uri?$args;", 404, b"/a?b")
        self.assertEqual(request.done, [("internalRedirect", b"/e/a", b"b")])

    def test_overwrite(self) -> None:
        """
        C{=CODE} answers with that, C{=} with what the URI answers.
        """
        request = fail("error_page 404 =200 /e;", 404)
        self.assertEqual(request.errorStatus, 200)
        request = fail("error_page 404 = /e;", 404)
        self.assertEqual(request.errorStatus, 0)
        self.assertEqual(run(ownHead, request, 203).status, 203)

    def test_badRequest(self) -> None:
        """
        nginx's own codes become 400 unless something else is said.
        """
        self.assertEqual(fail("error_page 497 /e;", 497).errorStatus, 400)
        self.assertEqual(fail("error_page 497 =497 /e;", 497).errorStatus, 497)

    def test_named(self) -> None:
        """
        To a named location, by the method that it was.
        """
        request = fail("error_page 502 @other;", 502, method=b"POST")
        self.assertEqual(request.done, [("namedLocation", "@other")])
        self.assertEqual(request.method, b"POST")

    def test_url(self) -> None:
        """
        Anything else is a redirect, temporary unless said otherwise.
        """
        for text, status in (
            ("error_page 404 http://a/;", 302),
            ("error_page 404 =200 http://a/;", 302),
            ("error_page 404 = http://a/;", 302),
            ("error_page 404 =301 http://a/;", 301),
        ):
            request = fail(text, 404, redirectTo=b"/before")
            self.assertEqual(request.done, [("sendResponse", status)])
            self.assertEqual(request.response.location, b"http://a/")
            self.assertIn(b"<h1>%d " % status, request.body)

    def test_once(self) -> None:
        """
        It does not apply to the answer of an error page.
        """
        request = fail("error_page 404 /e;", 404, errorPage=True)
        self.assertEqual(request.done, [("sendResponse", 404)])
        self.assertTrue(fail("error_page 404 /e;", 403).errorPage)

    def test_recursive(self) -> None:
        """
        Unless that is asked for.
        """
        request = fail("recursive_error_pages on; error_page 404 /e;", 404)
        self.assertFalse(request.errorPage)

    def test_cycle(self) -> None:
        """
        Nor when there were too many redirects.
        """
        request = fail("error_page 500 /e;", 500, uriChanges=0)
        self.assertEqual(request.done, [("sendResponse", 500)])

    def test_first(self) -> None:
        """
        Of several lines for a status the first counts.
        """
        request = fail("error_page 404 403 /a; error_page 404 /b;", 404)
        self.assertEqual(request.done, [("internalRedirect", b"/a", b"")])

    def test_invalid(self) -> None:
        """
        Only statuses from 300 to 599, but not 499.
        """
        for words, message in (
            ("200 /e", 'value "200" must be between 300 and 599'),
            ("600 /e", 'value "600" must be between 300 and 599'),
            ("499 /e", 'invalid value "499"'),
            ("x /e", 'invalid value "x"'),
            ("404 =x /e", 'invalid value "=x"'),
            ("=200 /e", 'invalid value "=200"'),
        ):
            error = self.assertRaises(ConfigError, fail, f"error_page {words};", 404)
            self.assertEqual(messages(error), [message])
