"""
Compressed responses: who gets them, and with which fields.
"""

from __future__ import annotations

import gzip

from tests.differential.backends import byTarget, response
from tests.differential.client import get, request
from tests.differential.harness import DifferentialTestCase, Scene

TEXT = b"hello, world! " * 20
HTML = b"Content-Type: text/html"
PACKED = gzip.compress(TEXT, mtime=0)
FILES = {
    "html/f.html": TEXT,
    "html/short.html": b"short\n",
    "html/empty.html": b"",
    "html/plain.txt": TEXT,
}


class GzipTests(DifferentialTestCase):
    """
    Compression as it goes.
    """

    def test_files(self) -> None:
        """
        Files: types, lengths, ranges, conditions, HEAD, Vary.
        """
        http = """
            types { text/html html; text/plain txt; }
            root %%prefix%%/html;
            gzip on;
            server_tokens off;
            server {
                listen 127.0.0.1:%%front%%;
                location / { }
                location /off/ { gzip off; alias %%prefix%%/html/; }
                location /vary/ { gzip_vary on; alias %%prefix%%/html/; }
                location /all/ { gzip_types *; gzip_min_length 0; alias %%prefix%%/html/; }
                location /text/ {
                    gzip_types text/plain; gzip_comp_level 9; gzip_window 1k; gzip_hash 1k;
                    alias %%prefix%%/html/;
                }
                location /old/ { gzip_http_version 1.0; alias %%prefix%%/html/; }
                location /agent/ { gzip_disable msie6 "curl"; alias %%prefix%%/html/; }
                location /own { default_type text/html; return 200 "0123456789012345678901234567890"; }
                location /moved { default_type text/html; return 301 /f.html; }
                location /forbidden { return 403; }
            }
        """
        accept = "Accept-Encoding: gzip"
        plays = [
            get(target, *fields)
            for target in (
                "/f.html /short.html /empty.html /plain.txt /none.html /off/f.html /vary/f.html /vary/plain.txt"
                " /all/plain.txt /all/short.html /all/empty.html /text/plain.txt /old/f.html /own /moved /forbidden"
            ).split()
            for fields in ((), (accept,), (accept, "Range: bytes=2-5"))
        ]
        plays += [
            get("/f.html", accept, version="1.0"),
            get("/old/f.html", accept, version="1.0"),
        ]
        plays += [
            request("HEAD", target, accept)
            for target in ("/f.html", "/vary/f.html", "/own")
        ]
        plays += [
            get("/agent/f.html", accept, f"User-Agent: {agent}")
            for agent in (
                "curl/8",
                "x",
                "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
            )
        ]
        plays += [
            get("/f.html", f"Accept-Encoding: {value}")
            for value in (
                "gzip,br",
                "br, gzip",
                "gzip;q=0",
                "gzip;q=0.1",
                "gzip; q=1.0",
                "gzip;q=1.1",
                "*",
                "x-gzip",
                "gzip x, gzip",
                "GZIP",
                "gzip;q",
                "gzip;q=",
                "gzip;",
                "gzip;q=0.0001",
                "gzip ;q=0.3 , br",
            )
        ]
        plays += [
            get("/f.html", accept, "If-None-Match: *"),
            get("/f.html", accept, "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT"),
        ]
        self.compare(Scene(http=http, plays=plays, files=FILES))

    def test_passed(self) -> None:
        """
        Responses of servers: what they say of caches counts for proxies.
        """
        http = """
            gzip on; gzip_vary on;
            log_format l "$status $gzip_ratio";
            server {
                listen 127.0.0.1:%%front%%;
                access_log logs/access.log l;
                location / { proxy_pass http://127.0.0.1:%%b1%%; gzip_proxied expired no-cache private no_etag auth; }
                location /any/ { proxy_pass http://127.0.0.1:%%b1%%/; gzip_proxied any; }
                location /off/ { proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        replies = {
            "/": response(TEXT, HTML),
            "/expired": response(TEXT, HTML, b"Expires: Thu, 01 Jan 1970 00:00:01 GMT"),
            "/fresh": response(TEXT, HTML, b"Expires: Fri, 31 Dec 2100 00:00:00 GMT"),
            "/nocache": response(TEXT, HTML, b"Cache-Control: max-age=0, no-cache"),
            "/nostore": response(TEXT, HTML, b"Cache-Control: no-store"),
            "/etag": response(
                TEXT, HTML, b'ETag: "a"', b"Accept-Ranges: bytes", b"Last-Modified: x"
            ),
            "/weak": response(TEXT, HTML, b'ETag: W/"a"'),
            "/odd": response(TEXT, HTML, b"ETag: a"),
            "/charset": response(TEXT, b"Content-Type: text/html; charset=utf-8"),
            "/parameter": response(TEXT, b"Content-Type: text/html; x=y"),
            "/packed": response(PACKED, HTML, b"Content-Encoding: gzip", b'ETag: "b"'),
            "/other": response(TEXT, HTML, b"Content-Encoding: br"),
            "/empty": response(b"", HTML),
            "/error": response(TEXT, HTML, status=b"500 Oops"),
            "/missing": response(TEXT, HTML, status=b"404 Not Found"),
            "/made": response(TEXT, HTML, status=b"201 Created"),
        }
        plays = [
            get(prefix + target, *fields)
            for prefix in ("", "/any", "/off")
            for target in replies
            for fields in (
                ("Accept-Encoding: gzip",),
                ("Accept-Encoding: gzip", "Via: 1.1 a"),
                ("Accept-Encoding: gzip", "Via: 1.1 a", "Authorization: Basic eDp5"),
                (),
            )
        ]
        plays += [
            request("HEAD", target, "Accept-Encoding: gzip") for target in replies
        ]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))
