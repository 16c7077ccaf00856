"""
Pages with SSI commands.
"""

from __future__ import annotations

from tests.differential.backends import byTarget, response
from tests.differential.client import get, request
from tests.differential.harness import DifferentialTestCase, Scene

HTML = b"Content-Type: text/html"

PAGES = {
    "plain.html": "no commands < <!- <!-- here --> at all\n",
    "echo.html": '<!--#echo var="arg_a" --> <!--#echo var="arg_b" default="none" --> <!--# echo var="nothing" --> <!--#echo var="arg_c" default=""-->.',
    "encoding.html": """<!--#set var="v" value="<a href='x'>&\\"%#{}\\\\</a>" --><!--#echo var="v" -->
<!--#echo var="v" encoding="none" --> <!--#echo var="v" --> <!--#echo var="v" encoding="url" -->
<!--#echo var="v" encoding="entity" --> <!--#echo var="v" encoding="other" -->.""",
    "set.html": """<!--#set var="A" value="x$arg_a-${arg_b}y" --><!--#echo var="a" -->
<!--#set var="b" value="$a$a" --><!--#echo var="b" --> <!--#set var="c" value="\\$a \\q \\'" --><!--#echo var="c" -->
<!--#set var="d" value="$" --><!--#set var="e" value="${a" --><!--#set var="f" value="${}" --><!--#set var="g" value="$-" -->
<!--#set var="uri" value="mine" --><!--#echo var="uri" -->.""",
    "if.html": """<!--#if expr="$arg_a" -->a<!--#else -->not a<!--#endif -->
<!--#if expr="$arg_a = x" -->x<!--#elif expr="$arg_a=y" -->y<!--#elif expr="$arg_a != z" -->not z<!--#else -->z<!--#endif -->
<!--#if expr="$arg_a = /^(.)(?P<Rest>.*)$/" -->[<!--#echo var="0" -->|<!--#echo var="1" -->|<!--#echo var="rest" -->|<!--#echo var="3" -->]<!--#endif -->
<!--#if expr="$arg_a != /x/" -->no x<!--#endif --><!--#if expr="$arg_a = \\/x" -->slash<!--#endif -->
<!--#if expr="ABC = abc" -->lower<!--#endif --><!--#if expr="abc = ABC" -->not lower<!--#endif -->
<!--#if expr="$arg_a" --><!--#if expr="x" -->nested<!--#endif -->after<!--#endif -->.""",
    "wrong.html": """<!--#nothing --> <!--#echo --> <!--#echo vars="x" --> <!--#echo var="x" var="y" --> <!--#else --> <!--#endif -->
<!--#if expr="x" --><!--#else --><!--#elif expr="x" --><!--#endif --> <!--#if expr="a ? b" -->
<!--#if expr="a = /b" --> <!--#echo var="x" x --> <!--#echo var=x --> <!--#echo var="x"y="z" --> <!--#ec-ho -->
<!--#include --> <!--#include virtual="/a" file="b" --> <!--#include virtual="/echo.html" wait="maybe" -->
<!--#include file="a" wait="yes" --> <!--#include virtual="/a" set="x" stub="y" --> <!--#include virtual="/a" stub="y" -->
<!--#include virtual="../x" -->
<!--#config errmsg="[oops]" --><!--#nothing --> <!--#echo var="1234567890123456789012345678901234567890" -->
<!--#echo 123456789012345678901234567890123="" --> <!--#123456789012345678901234567890123 -->.""",
    "include.html": """a<!--#include virtual="/echo.html?a=1&b=2" -->b<!--#include file="plain.html" -->c<!--#include virtual="plain.html" wait="yes" -->d
<!--#include virtual="/none.html" -->e<!--#include virtual="/forbidden" --><!--#include virtual="/empty.html" -->f<!--#include virtual="/return204" -->g
<!--#include virtual="/return?x" -->h<!--#include virtual="/d/" --> <!--#include virtual="/d" -->i<!--#include virtual="$arg_page" -->.""",
    "vars.html": """<!--#set var="v" value="1" --><!--#include virtual="/inner.html" wait="yes" --><!--#echo var="w" -->
<!--#echo var="uri" --> <!--#echo var="request_uri" --> <!--#echo var="request_method" --> <!--#echo var="query_string" -->.""",
    "inner.html": '[<!--#echo var="v" --> <!--#set var="w" value="2" --><!--#echo var="uri" --> <!--#echo var="request_uri" --> <!--#echo var="args" -->]',
    "into.html": """<!--#include virtual="/echo.html?a=into" set="x" -->x=<!--#echo var="x" -->;<!--#include virtual="/none.html" set="y" -->y=<!--#echo var="y" -->;
<!--#include virtual="/proxy/text" set="z" -->z=<!--#echo var="z" -->;<!--#include virtual="/empty.html" set="e" -->e=<!--#echo var="e" -->.""",
    "block.html": """<!--#block name="one" -->stub <!--#echo var="arg_a" --> here<!--#endblock -->
<!--#include virtual="/none.html" stub="one" -->|<!--#include virtual="/plain.html" stub="one" -->
<!--#include virtual="/proxy/empty" stub="one" wait="yes" -->|<!--#include virtual="/proxy/error" stub="one" -->|<!--#include virtual="/off/none.html" stub="one" -->.""",
    "deep.html": '(<!--#include virtual="/deep.html" -->)',
    "date.html": '<!--#config timefmt="%%Y %Y" --><!--#echo var="date_gmt" -->.',
    "proxied.html": '<!--#include virtual="/proxy/text" wait="yes" -->-<!--#include virtual="/proxy/error" wait="yes" -->-<!--#include virtual="/proxy/page?a=b" wait="yes" -->-<!--#include virtual="/proxy/text" -->.',
    "empty.html": "",
    "d/index.html": "index",
    "end1.html": "text<!--#echo var",
    "text.txt": '<!--#echo var="uri" -->',
}


class SSITests(DifferentialTestCase):
    """
    What commands do.
    """

    def test_pages(self) -> None:
        """
        All commands, right and wrong; inclusions of files, errors, servers.
        """
        http = """
            types { text/html html; text/plain txt; }
            root %%prefix%%/html;
            server_tokens off;
            subrequest_output_buffer_size 16k;
            # How bodies are cut into chunks counts in what is logged.
            chunked_transfer_encoding off;
            server {
                listen 127.0.0.1:%%front%%;
                ssi on;
                location / { }
                location /off/ { ssi off; alias %%prefix%%/html/; }
                location /silent/ { ssi_silent_errors on; alias %%prefix%%/html/; }
                location /short/ { ssi_value_length 5; alias %%prefix%%/html/; }
                location /types/ { ssi_types text/plain; alias %%prefix%%/html/; }
                location /modified/ { ssi_last_modified on; alias %%prefix%%/html/; }
                location /packed/ { gzip on; gzip_min_length 0; alias %%prefix%%/html/; }
                location /forbidden { deny all; return 403; }
                location /return { default_type text/html; return 200 "returned $args <!--#echo var=\\"uri\\" -->"; }
                location = /return204 { return 204; }
                location /page { error_page 404 /plain.html; }
                location /proxy/ { proxy_pass http://127.0.0.1:%%b1%%/; }
                location /pages/ { proxy_pass http://127.0.0.1:%%b2%%/; }
                location /internal { internal; default_type text/html; return 200 "internal"; }
            }
        """
        replies = {
            "/text": response(b"text of a server", HTML),
            "/error": response(b"broken", HTML, status=b"500 Oops"),
            "/empty": response(b"", HTML),
            "/page?a=b": response(b'page <!--#echo var="args" -->', HTML),
        }
        pages = {
            f"/{name}": response(
                text.encode(),
                HTML,
                b'ETag: "a"',
                b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",
            )
            for name, text in PAGES.items()
        }
        plays = [
            get(f"/{name}{args}")
            for name in PAGES
            for args in ("", "?a=x", "?a=xyz&b=%3c&c=d&page=/internal")
            if name not in ("deep.html",)
        ]
        plays += [
            get(prefix + name, *fields)
            for prefix in (
                "/off/",
                "/silent/",
                "/short/",
                "/types/",
                "/modified/",
                "/packed/",
            )
            for name in ("echo.html", "wrong.html", "text.txt")
            for fields in ((), ("Accept-Encoding: gzip",), ("Range: bytes=1-3",))
            if not (prefix == "/short/" and name == "wrong.html")
        ]
        plays += [
            request("HEAD", "/echo.html"),
            get("/page/none.html"),
            get("/echo.html", version="1.0"),
            get(
                "/modified/echo.html",
                "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT",
            ),
            get("/include.html", "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT"),
            get("/deep.html"),
        ]
        files = {f"html/{name}": text.encode() for name, text in PAGES.items()}
        backends = {"b1": byTarget(replies), "b2": byTarget(pages)}
        self.compare(
            Scene(
                http=http, plays=plays, files=files, backends=backends, errors="error"
            )
        )
        # Pages of a server; what was being done when something is wrong is another matter.
        plays = [get(f"/pages/{name}") for name in PAGES if name != "deep.html"]
        plays.append(request("POST", "/pages/echo.html", body=b"abc"))
        self.compare(
            Scene(http=http, plays=plays, files=files, backends=backends, errors=None)
        )
