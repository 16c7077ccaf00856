"""
Files: root, alias, index, try_files, conditions, ranges, types.
"""

from __future__ import annotations

from tests.differential.client import get, request
from tests.differential.harness import DifferentialTestCase, Scene

FILES = {
    "html/index.html": b"<html>index</html>\n",
    "html/f.txt": b"0123456789abcdefghijklmnopqrstuvwxyz\n",
    "html/empty.txt": b"",
    "html/noext": b"no extension\n",
    "html/UPPER.HTML": b"upper\n",
    "html/a b.txt": b"space\n",
    "html/\u00e9.txt": b"accent\n",
    "html/x.unknown": b"unknown\n",
    "html/x.tar.gz": b"gz\n",
    "html/d/index.html": b"d index\n",
    "html/d/second.html": b"d second\n",
    "html/e/second.html": b"e second\n",
    "html/bare/f.txt": b"bare\n",
    "html/big.bin": bytes(range(256)) * 4000,
    "other/f.txt": b"other f\n",
    "other/sub/index.html": b"other index\n",
    "types.conf": b"types { text/html html htm; text/plain txt; application/gzip gz; image/png PNG; }\n",
}


class FileTests(DifferentialTestCase):
    """
    Serving files.
    """

    def test_places(self) -> None:
        """
        root, alias, index, missing slashes, methods.
        """
        http = """
            include types.conf;
            root %%prefix%%/html;
            server {
                listen 127.0.0.1:%%front%%;
                location /alias/ { alias %%prefix%%/other/; }
                location /aliasfile { alias %%prefix%%/other/f.txt; }
                location ~ ^/re/(.*)$ { alias %%prefix%%/other/$1; }
                location /inner/ { root %%prefix%%/other; }
                location /e/ { index second.html; }
                location /both/ { index none.html /f.txt; }
                location /var/ { root %%prefix%%/$arg_root; }
                location /type { default_type application/x-thing; }
                location /deny { return 403; }
            }
            server { listen 127.0.0.1:%%second%%; index second.html index.html; }
        """
        targets = (
            "/ /index.html /f.txt /empty.txt /noext /UPPER.HTML /upper.html /a%20b.txt /%C3%A9.txt /x.unknown"
            " /x.tar.gz /d /d/ /d?x=1 /d/index.html /d/index.html/ /e/ /bare /bare/ /none /none/ /f.txt/ /f.txt/x"
            " /alias/f.txt /alias/ /alias /alias/sub /alias/sub/ /alias/none /alias/../f.txt /aliasfile /aliasfilex"
            " /re/f.txt /re/sub /re/none /inner/f.txt /both/ /var/f.txt?root=html /big.bin /type /%2e%2e/x /d/../f.txt"
            " /f%2etxt /f.txt%00 //f.txt /f.txt?x=y"
        ).split()
        plays = [get(target) for target in targets]
        plays += [
            get(target, version="1.0")
            for target in ("/f.txt", "/d", "/none", "/big.bin")
        ]
        plays += [
            request(method, target, body=body)
            for method, body in (
                ("HEAD", b""),
                ("POST", b"x"),
                ("PUT", b"x"),
                ("DELETE", b""),
                ("OPTIONS", b""),
                ("FOO", b""),
            )
            for target in ("/f.txt", "/d", "/d/", "/none", "/empty.txt")
        ]
        plays += [
            get(target, port="second") for target in ("/", "/d/", "/e/", "/bare/")
        ]
        self.compare(Scene(http=http, plays=plays, files=FILES))

    def test_conditions(self) -> None:
        """
        If-Modified-Since, If-None-Match and their like.
        """
        http = """
            root %%prefix%%/html;
            server {
                listen 127.0.0.1:%%front%%;
                location /before/ { if_modified_since before; alias %%prefix%%/html/; }
                location /off/ { if_modified_since off; etag off; alias %%prefix%%/html/; }
            }
        """
        exact = "Sun, 13 Sep 2020 12:26:40 GMT"
        later = "Mon, 14 Sep 2020 12:26:40 GMT"
        earlier = "Sat, 12 Sep 2020 12:26:40 GMT"
        tag = '"5f5e1000-25"'
        conditions = [
            *(
                f"If-Modified-Since: {date}"
                for date in (exact, later, earlier, "nonsense", "")
            ),
            *(
                f"If-Unmodified-Since: {date}"
                for date in (exact, later, earlier, "nonsense")
            ),
            "If-Modified-Since: Sunday, 13-Sep-20 12:26:40 GMT",
            "If-Modified-Since: Sun Sep 13 12:26:40 2020",
            *(
                f"{name}: {value}"
                for name in ("If-None-Match", "If-Match")
                for value in (tag, f"W/{tag}", "*", '"x"', f'"x", {tag}', "", "x,")
            ),
        ]
        plays = [
            get(place + "f.txt", one)
            for place in ("/", "/before/", "/off/")
            for one in conditions
        ]
        plays += [
            get("/f.txt", f"If-None-Match: {tag}", f"If-Modified-Since: {earlier}"),
            get("/f.txt", 'If-None-Match: "x"', f"If-Modified-Since: {exact}"),
            get("/f.txt", f"If-Match: {tag}", f"If-Unmodified-Since: {earlier}"),
            request("HEAD", "/f.txt", f"If-None-Match: {tag}"),
        ]
        self.compare(Scene(http=http, plays=plays, files=FILES))

    def test_ranges(self) -> None:
        """
        Range and If-Range, one range at a time: boundaries of several are random.
        """
        http = """
            root %%prefix%%/html;
            server {
                listen 127.0.0.1:%%front%%;
                location /none/ { max_ranges 0; alias %%prefix%%/html/; }
                location /one/ { max_ranges 1; alias %%prefix%%/html/; }
            }
        """
        ranges = [
            "bytes=0-0",
            "bytes=0-4",
            "bytes=5-",
            "bytes=-5",
            "bytes=-500",
            "bytes=-0",
            "bytes=36-36",
            "bytes=37-",
            "bytes=36-100",
            "bytes=100-200",
            "bytes=5-2",
            "bytes=0-",
            "bytes=",
            "bytes=x",
            "bytes=0-x",
            "bytes 0-4",
            "Bytes=0-4",
            "lines=0-4",
            "bytes= 0 - 4 ",
            "bytes=0-4,",
            "bytes=-",
            "bytes=99999999999999999999-",
        ]
        plays = [
            get(place + "f.txt", f"Range: {value}")
            for place in ("/", "/none/", "/one/")
            for value in ranges
        ]
        plays += [
            get("/f.txt", "Range: bytes=0-4", f"If-Range: {value}")
            for value in (
                '"5f5e1000-25"',
                '"x"',
                "Sun, 13 Sep 2020 12:26:40 GMT",
                "Mon, 14 Sep 2020 12:26:40 GMT",
                'W/"5f5e1000-25"',
            )
        ]
        plays += [
            get("/empty.txt", "Range: bytes=0-"),
            get("/f.txt", "Range: bytes=0-4", version="1.0"),
            request("HEAD", "/f.txt", "Range: bytes=0-4"),
            get("/big.bin", "Range: bytes=1000-900000"),
            get("/none", "Range: bytes=0-4"),
        ]
        self.compare(Scene(http=http, plays=plays, files=FILES))

    def test_tryFiles(self) -> None:
        """
        try_files: files, folders, codes, named locations, fallbacks with arguments.
        """
        http = """
            include types.conf;
            root %%prefix%%/html;
            server {
                listen 127.0.0.1:%%front%%;
                location / { try_files $uri $uri/ /index.html; }
                location /code/ { try_files $uri =404; }
                location /code500/ { try_files /none =500; }
                location /named/ { try_files $uri @named; }
                location @named { return 200 "named $uri $args\\n"; }
                location /args/ { try_files $uri /fallback?u=$uri&$args; }
                location /fallback { return 200 "fallback $uri $args\\n"; }
                location /first/ { try_files /none.txt /f.txt /index.html; }
                location /folder/ { try_files /d/ =404; }
                location /alias/ { alias %%prefix%%/other/; try_files $uri $uri/ =404; }
                location /variable/ { try_files /$arg_f /x.unknown =404; }
            }
        """
        targets = (
            "/ /f.txt /d /d/ /none /bare /bare/ /code/x /code/ /code500/ /named/x?a=b /args/x?a=b /first/ /folder/"
            " /alias/f.txt /alias/sub /alias/none /variable/?f=f.txt /variable/?f=none /variable/"
        ).split()
        plays = [get(target) for target in targets]
        plays += [
            request("POST", "/f.txt", body=b"x"),
            request("HEAD", "/f.txt"),
            request("POST", "/named/x", body=b"x"),
        ]
        self.compare(Scene(http=http, plays=plays, files=FILES))
