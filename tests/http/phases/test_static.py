"""
Tests for L{twisted_upstream.http.phases.static}.
"""

from __future__ import annotations

import os
from errno import EACCES, ENOENT, ENOTDIR
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

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
from twisted_upstream.http.phases.files import openFile
from twisted_upstream.http.phases.gzip_accept import GzipAcceptOptions
from twisted_upstream.http.phases.paths import PathOptions
from twisted_upstream.http.phases.static import StaticOptions, compileStatic
from twisted_upstream.wire.dates import formatDate

CHANGED = 1_000_000_000


class StaticTestCase(SynchronousTestCase):
    """
    Serves a directory with a few files.
    """

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory + "/dir sp")
        os.makedirs(self.directory + "/empty")
        self.write("index.html", b"index")
        self.write("dir sp/index.html", b"inner")
        self.write("t.html", b"SEE-THIS")

    def write(self, name: str, content: bytes) -> None:
        path = f"{self.directory}/{name}"
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, (CHANGED, CHANGED))

    def answer(
        self,
        target: bytes,
        text: str = "",
        location: str = "/",
        fields: bytes = b"",
        method: bytes = b"GET",
        **attributes: Any,
    ) -> FakeRequest:
        """
        Answer a request in a location with C{text}.
        """
        text = text.replace("%D", self.directory)
        block = configure(
            f"root {self.directory}; server {{ location {location} {{ {text} }} }}",
            PathOptions,
            StaticOptions,
            GzipAcceptOptions,
        )
        build = FakeBuild()
        handler = compileStatic(only(block, 0, 0), build)
        request = FakeRequest(target, fields=fields, method=method, build=build)
        for name, value in attributes.items():
            setattr(request, name, value)
        run(handler, request)
        return request


class FileTests(StaticTestCase):
    """
    Files are content.
    """

    def test_file(self) -> None:
        """
        A file comes with length, type, date and ETag.
        """
        request = self.answer(b"/t.html")
        self.assertEqual(request.done, [("sendFile", 200)])
        self.assertEqual(request.body, b"SEE-THIS")
        head = request.response
        self.assertEqual(head.contentLength, 8)
        self.assertEqual(head.contentType, b"text/html")
        self.assertEqual(head.lastModified, formatDate(CHANGED))
        self.assertEqual(head.fields, b'\r\nETag: "3b9aca00-8"\r\nAccept-Ranges: bytes')

    def test_withoutETag(self) -> None:
        """
        C{etag off} leaves it out.
        """
        self.assertNotIn(b"ETag", self.answer(b"/t.html", "etag off;").response.fields)

    def test_alias(self) -> None:
        """
        Paths follow C{alias}.
        """
        request = self.answer(b"/i/t.html", "alias %D/;", "/i/")
        self.assertEqual(request.body, b"SEE-THIS")

    def test_methods(self) -> None:
        """
        A file can be read; a POST to one is refused, but not to one that is missing.
        """
        self.assertEqual(self.answer(b"/t.html", method=b"HEAD").response.status, 200)
        for method, target, status in (
            (b"POST", b"/t.html", 405),
            (b"POST", b"/nx", 404),
            (b"PUT", b"/nx", 405),
            (b"PUT", b"/", 405),
        ):
            request = self.answer(target, method=method)
            self.assertEqual(request.done, [("failResponse", status)])

    def test_missing(self) -> None:
        """
        A missing file is an error that is logged, unless that is off.
        """
        request = self.answer(b"/nx")
        self.assertEqual(request.done, [("failResponse", 404)])
        self.assertEqual(
            request.logged,
            [("error", f'open() "{self.directory}/nx" failed', ENOENT)],
        )
        self.assertEqual(self.answer(b"/nx", "log_not_found off;").logged, [])
        request = self.answer(b"/t.html/x")
        self.assertEqual(request.logged[0][2], ENOTDIR)
        self.assertEqual(self.answer(b"/" + b"x" * 300).done, [("failResponse", 404)])
        self.assertEqual(self.answer(b"/a%00b").done, [("failResponse", 404)])

    def test_forbidden(self) -> None:
        """
        What may not be read is forbidden.
        """
        if os.geteuid() == 0:
            raise SkipTest("root may read everything")
        os.chmod(self.directory + "/t.html", 0)
        request = self.answer(b"/t.html", "log_not_found off;")
        self.assertEqual(request.done, [("failResponse", 403)])
        self.assertEqual(request.logged[0][2], EACCES)

    def test_loop(self) -> None:
        """
        A link that leads to itself is forbidden.
        """
        os.symlink("loop", self.directory + "/loop")
        self.assertEqual(self.answer(b"/loop").done, [("failResponse", 403)])

    def test_noFile(self) -> None:
        """
        A FIFO is no content, and is not waited for.
        """
        os.mkfifo(self.directory + "/fifo")
        request = self.answer(b"/fifo")
        self.assertEqual(request.done, [("failResponse", 404)])
        self.assertEqual(request.logged[0][0], "crit")

    def test_directory(self) -> None:
        """
        A directory is asked for with a slash.
        """
        for target, text, where, location in (
            (b"/empty", "", "/", b"/empty/"),
            (b"/dir%20sp?a=b", "", "/", b"/dir%20sp/?a=b"),
            (b"/i/dir%20sp", "alias %D/;", "/i/", b"/i/dir%20sp/"),
        ):
            request = self.answer(target, text, where)
            self.assertEqual(request.done, [("failResponse", 301)])
            self.assertEqual(request.redirectTo, location)

    def test_rewritten(self) -> None:
        """
        An alias whose location was left by a rewrite is a mistake.
        """
        for target in (b"/i/t.html", b"/i/"):
            request = self.answer(target, "alias %D/;", "/i/", validLocation=False)
            self.assertEqual(request.done, [("failResponse", 500)])

    def test_errorPage(self) -> None:
        """
        As an error's page, a file has the error's status, and no ranges.
        """
        request = self.answer(
            b"/t.html",
            fields=b"\r\nRange: bytes=0-1\r\nIf-None-Match: *",
            errorStatus=404,
        )
        self.assertEqual(request.done, [("sendFile", 404)])
        self.assertEqual(request.body, b"SEE-THIS")
        self.assertNotIn(b"Ranges", request.response.fields)

    def test_openFile(self) -> None:
        """
        A directory can be opened too, which tells that it is one.
        """
        fd, found = openFile(self.directory.encode())
        os.close(fd)
        self.assertTrue(found.st_mode)


class ConditionTests(StaticTestCase):
    """
    Clients ask for what they do not have.
    """

    def test_notModified(self) -> None:
        """
        304 has no body.
        """
        request = self.answer(b"/t.html", fields=b'\r\nIf-None-Match: "3b9aca00-8"')
        self.assertEqual(request.done, [("sendFile", 304)])
        self.assertEqual(request.body, b"")

    def test_before(self) -> None:
        """
        C{if_modified_since} says how dates are compared.
        """
        later = b"\r\nIf-Modified-Since: " + formatDate(CHANGED + 1)
        for text, status in (("", 200), ("if_modified_since before;", 304)):
            self.assertEqual(
                self.answer(b"/t.html", text, fields=later).response.status, status
            )

    def test_failed(self) -> None:
        """
        412 is an error like any other.
        """
        request = self.answer(b"/t.html", fields=b'\r\nIf-Match: "x"')
        self.assertEqual(request.done, [("failResponse", 412)])

    def test_range(self) -> None:
        """
        One part.
        """
        request = self.answer(b"/t.html", fields=b"\r\nRange: bytes=4-")
        self.assertEqual(request.done, [("sendFile", 206)])
        self.assertEqual(request.body, b"THIS")

    def test_notSatisfiable(self) -> None:
        """
        None.
        """
        request = self.answer(b"/t.html", fields=b"\r\nRange: bytes=9-")
        self.assertEqual(request.done, [("failResponse", 416)])
        self.assertEqual(request.errorFields, b"\r\nContent-Range: bytes */8")

    def test_maxRanges(self) -> None:
        """
        C{max_ranges 0}: always the whole.
        """
        request = self.answer(
            b"/t.html", "max_ranges 0;", fields=b"\r\nRange: bytes=4-"
        )
        self.assertEqual(request.body, b"SEE-THIS")

    def test_ranges(self) -> None:
        """
        Several parts.
        """
        request = self.answer(b"/t.html", fields=b"\r\nRange: bytes=0-2, -4")
        self.assertEqual(request.done, [("sendResponse", 206)])
        self.assertEqual(request.response.contentLength, len(request.body))
        parts = request.body.split(b"\r\n--00000000000000000001")
        self.assertTrue(parts[1].endswith(b"bytes 0-2/8\r\n\r\nSEE"))
        self.assertTrue(parts[2].endswith(b"bytes 4-7/8\r\n\r\nTHIS"))
        self.assertEqual(parts[3], b"--\r\n")

    def test_largeRanges(self) -> None:
        """
        Large parts are not held in memory.
        """
        self.write("large", b"a" * 800_000 + b"b" * 800_000)
        request = self.answer(b"/large", fields=b"\r\nRange: bytes=0-699999, -700000")
        self.assertEqual(request.done, [("sendFile", 206)])
        self.assertEqual(request.response.contentLength, len(request.body))
        self.assertEqual(request.body.count(b"a" * 700_000), 1)
        self.assertEqual(request.body.count(b"b" * 700_000), 1)


class IndexTests(StaticTestCase):
    """
    Files stand for directories.
    """

    def test_default(self) -> None:
        """
        C{index.html}, where nothing else is said.
        """
        for target, uri in (
            (b"/", b"/index.html"),
            (b"/dir%20sp/?a", b"/dir sp/index.html"),
        ):
            request = self.answer(target)
            args = request.args
            self.assertEqual(request.done, [("internalRedirect", uri, args)])

    def test_several(self) -> None:
        """
        The first that is there.
        """
        request = self.answer(b"/", "index nx.html; index t.html index.html;")
        self.assertEqual(request.done, [("internalRedirect", b"/t.html", b"")])

    def test_alias(self) -> None:
        """
        The URI keeps the location's name.
        """
        request = self.answer(b"/i/", "alias %D/;", "/i/")
        self.assertEqual(request.done, [("internalRedirect", b"/i/index.html", b"")])

    def test_absolute(self) -> None:
        """
        One that begins with a slash is gone to in any case.
        """
        for text, uri in (
            ("/re.html", b"/re.html"),
            ("nx /$host.html", b"/localhost.html"),
        ):
            request = self.answer(b"/?a=b", f"index {text};")
            self.assertEqual(request.done, [("internalRedirect", uri, b"a=b")])

    def test_forbidden(self) -> None:
        """
        A directory without one is not shown.
        """
        request = self.answer(b"/empty/")
        self.assertEqual(request.done, [("failResponse", 403)])
        self.assertEqual(
            request.logged,
            [
                (
                    "error",
                    f'directory index of "{self.directory}/empty/" is forbidden',
                    0,
                )
            ],
        )

    def test_missing(self) -> None:
        """
        Is the directory missing too, the message names the index.
        """
        request = self.answer(b"/nx/")
        self.assertEqual(request.done, [("failResponse", 404)])
        self.assertEqual(
            request.logged,
            [("error", f'"{self.directory}/nx/index.html" is not found', ENOENT)],
        )
        self.assertEqual(self.answer(b"/nx/", "log_not_found off;").logged, [])

    def test_noDirectory(self) -> None:
        """
        A file with a slash is nothing.
        """
        request = self.answer(b"/t.html/")
        self.assertEqual(request.done, [("failResponse", 404)])

    def test_invalid(self) -> None:
        """
        An empty name is refused; an absolute one that is not the last is odd.
        """
        error = self.assertRaises(ConfigError, configure, 'index "";', StaticOptions)
        self.assertEqual(messages(error), ['index "" in "index" directive is invalid'])
        warnings = configureWithWarnings("index /a b;", StaticOptions)[1]
        self.assertEqual(len(warnings), 1)


class PackedTests(StaticTestCase):
    """
    C{gzip_static}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.write("t.html.gz", b"packed")
        os.mkdir(self.directory + "/index.html.gz")

    def packed(self, target: bytes, text: str, accepts: bool, **more: Any) -> Any:
        """
        The head of the response.
        """
        fields = b"\r\nAccept-Encoding: gzip" if accepts else b""
        return self.answer(target, text, fields=fields, **more).response

    def test_packed(self) -> None:
        """
        Who accepts gzip gets the compressed file, as what the plain one is.
        """
        for text, accepts, packed, vary in (
            ("", True, False, False),
            ("gzip_static off; gzip_vary on;", True, False, False),
            ("gzip_static on;", True, True, False),
            ("gzip_static on;", False, False, False),
            ("gzip_static on; gzip_vary on;", True, True, True),
            ("gzip_static on; gzip_vary on;", False, False, True),
            ("gzip_static always;", False, True, False),
            ("gzip_static always; gzip_vary on;", True, True, False),
        ):
            head = self.packed(b"/t.html", text, accepts)
            self.assertEqual(b"Content-Encoding: gzip" in head.fields, packed, text)
            self.assertEqual(b"Vary: Accept-Encoding" in head.fields, vary, text)
            self.assertEqual(head.contentLength, 6 if packed else 8)
            self.assertEqual(head.contentType, b"text/html")
            self.assertIn(b'ETag: "%x-%x"' % (CHANGED, head.contentLength), head.fields)

    def test_none(self) -> None:
        """
        Without a compressed file, or with a directory of that name, the plain one is
        sent; a POST never looks for it.
        """
        text = "gzip_static on; gzip_vary on;"
        head = self.packed(b"/index.html", text, True)
        self.assertNotIn(b"Content-Encoding", head.fields)
        self.assertIn(b"Vary", head.fields)
        head = self.packed(b"/dir%20sp/index.html", text, True)
        self.assertNotIn(b"Content-Encoding", head.fields)
        self.assertNotIn(b"Vary", head.fields)
        request = self.answer(
            b"/t.html", text, fields=b"\r\nAccept-Encoding: gzip", method=b"POST"
        )
        self.assertEqual(request.done, [("failResponse", 405)])

    def test_special(self) -> None:
        """
        What is neither file nor directory is answered with 404, and told.
        """
        os.mkfifo(self.directory + "/f.html.gz")
        self.write("f.html", b"plain")
        request = self.answer(
            b"/f.html", "gzip_static on;", fields=b"\r\nAccept-Encoding: gzip"
        )
        self.assertEqual(request.done, [("failResponse", 404)])
        self.assertIn("is not a regular file", request.logged[0][1])
