"""
Which server gets which request, and what clients are told, by C{sticky}.

The back ends are shared by both sides: what a server is called is made of its address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.differential.backends import ScriptedBackend, byTarget, raw, response
from tests.differential.client import Play, get
from tests.differential.harness import DifferentialTestCase, Scene


class StickyTests(DifferentialTestCase):
    """
    The same servers, the same fields.
    """

    def setUp(self) -> None:
        """
        Three back ends; each gives sessions of its own name.
        """
        self.backends = [
            ScriptedBackend(
                name,
                byTarget(
                    {
                        "/bad": response(b"bad", status=b"502 Bad"),
                        "/close": raw() if name == "b2" else response(b"open"),
                        "/404": response(b"no", status=b"404 No"),
                        "/session": response(
                            name.encode(),
                            b"Set-Cookie: SID=s-%b; Path=/" % name.encode(),
                        ),
                        "/early": raw(
                            b"HTTP/1.1 200 OK\r\nSet-Cookie: s=own\r\n"
                            b"Content-Length: 2\r\nConnection: close\r\nX-A: b\r\n\r\nok"
                        ),
                        "": response(name.encode()),
                    }
                ),
                [],
            )
            for name in ("b1", "b2", "b3")
        ]
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Close everything that listens.
        """
        for backend in self.backends:
            backend.stop()

    def compareGroups(self, groups: dict[str, str], plays: Sequence[Play]) -> None:
        """
        Compare C{plays}; a request names its group in C{X-Group}.

        @param groups: what stands in each C{upstream{}}.
        """
        ports = {f"b{n}": each.port for n, each in enumerate(self.backends, 1)}

        def fill(text: str) -> str:
            return re.sub(
                r"\bserver (b\d)\b",
                lambda match: f"server 127.0.0.1:{ports[match[1]]}",
                text,
            )

        inside = "".join(
            f"upstream {name} {{ {fill(text)} }}\n" for name, text in groups.items()
        )
        http = f"""
            {inside}
            server {{
                listen 127.0.0.1:%%front%%;
                proxy_next_upstream error http_404;
                add_header X-Asked $upstream_addr always;
                error_page 502 /sorry;
                location = /sorry {{ return 200 sorry; }}
                location / {{ proxy_pass http://$http_x_group; }}
            }}
        """
        self.compare(Scene(http=http, plays=plays))

    def plays(
        self, groups: dict[str, str], cookies: Sequence[str], paths: Sequence[str]
    ) -> list[Play]:
        """
        Every path with every cookie, in every group.
        """
        return [
            get(
                path,
                f"X-Group: {name}",
                *([f"Cookie: {cookie}"] if cookie else []),
                name=f"{name} {path} {cookie}",
            )
            for name in groups
            for path in paths
            for cookie in cookies
        ]

    def test_cookie(self) -> None:
        """
        sticky cookie: attributes, methods, retries, error pages, unknown servers.
        """
        three = "server b1 route=one; server b2 route=two; server b3;"
        groups = {
            "plain": f"{three} sticky cookie s;",
            "all": f"{three} sticky cookie s expires=max domain=d.example path=/p"
            " httponly secure samesite=Lax;",
            "variables": f"{three} sticky cookie s domain=$arg_d samesite=$arg_d;",
            "least": f"least_conn; {three} sticky cookie s;",
            "hash": f"hash $request_uri; {three} sticky cookie s;",
            "circle": f"hash $request_uri consistent; {three} sticky cookie s;",
            "address": f"ip_hash; {three} sticky cookie s;",
            "weighted": "server b1 weight=5 route=one; server b2 route=two weight=2;"
            " sticky cookie s;",
            "drain": "server b1 route=one drain; server b2 route=two;"
            " server b3 route=three down; sticky cookie s;",
            "backup": "server b1 route=one; server b2 route=two backup;"
            " sticky cookie s;",
            "lone": "server b1 route=one; sticky cookie s;",
            "loneDrain": "server b1 route=one drain; sticky cookie s;",
        }
        cookies = (
            "",
            "s=one",
            "s=two",
            "a=b; s=two",
            "S=two",
            "s = two; s=one",
            "xs=two",
            "s=",
            "s=three",
            "s=%s" % ("x" * 300),
            "s=\xff\xfe",
            "s=two ",
        )
        paths = ("/", "/?d=lax", "/404", "/early", "/close", "/bad")
        self.compareGroups(groups, self.plays(groups, cookies, paths))

    def test_route(self) -> None:
        """
        sticky route: from cookies and arguments, the first that says something.
        """
        servers = "server b1 route=one; server b2 route=two; server b3 route=three;"
        groups = {
            "both": f"{servers} sticky route $cookie_r $arg_r;",
            "least": f"least_conn; {servers} sticky route $arg_r $cookie_r;",
            "backup": "server b1 route=one; server b2 route=two backup;"
            " server b3 route=three backup; sticky route $cookie_r $arg_r;",
        }
        self.compareGroups(
            groups,
            self.plays(
                groups,
                ("", "r=two", "r=", "r=none"),
                ("/", "/?r=three", "/?r=", "/404?r=one", "/close?r=two"),
            ),
        )

    def test_learn(self) -> None:
        """
        sticky learn: sessions of servers and of clients, moved and refreshed.
        """
        servers = "server b1; server b2; server b3;"
        learn = "sticky learn lookup=$cookie_sid lookup=$arg_sid timeout=1h"
        groups = {
            "server": f"{servers} {learn} create=$upstream_cookie_sid zone=z1:64k;",
            "header": f"{servers} {learn} create=$upstream_cookie_sid zone=z2:64k"
            " header;",
            "client": f"{servers} {learn} create=$cookie_sid zone=z3:64k;",
        }
        self.compareGroups(
            groups,
            self.plays(
                groups,
                ("", "sid=s-b2", "SID=s-b1", "sid=S-b1", "sid=s-b3", "sid=mine"),
                (
                    "/",
                    "/session",
                    "/",
                    "/?sid=s-b1",
                    "/404",
                    "/close",
                    "/session",
                    "/",
                ),
            ),
        )
