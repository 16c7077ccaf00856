"""
Which server gets which request under each method of choosing.

The back ends of these scenes are shared by both sides: consistent hashing looks at the
addresses as they are written, ports included.  So they answer by target alone and keep
nothing.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from tests.differential.backends import Reply, ScriptedBackend, byTarget, raw, response
from tests.differential.client import Abort, Play, Wait, get, request
from tests.differential.harness import DifferentialTestCase, Scene
from tests.support.nginx import reservePort

#: Seconds for which a held request keeps its server busy.
HOLD = 1.5


class BalancerTests(DifferentialTestCase):
    """
    The same sequence of servers, request by request.
    """

    def setUp(self) -> None:
        """
        Five back ends and three ports that refuse connections.
        """
        self.backends: list[ScriptedBackend] = []
        self.refusing: list[tuple[int, socket.socket]] = []
        for name in ("b1", "b2", "b3", "b4", "b5"):
            answer = response(name.encode())
            bad: dict[str, Reply] = {
                "/hold": Reply((HOLD, *answer.parts)),
                "": answer,
            }
            if name in ("b2", "b4"):
                bad["/close"] = raw()
                bad["/404"] = response(b"none", status=b"404 Not Found")
            self.backends.append(ScriptedBackend(name, byTarget(bad), []))
        for _ in range(3):
            held = reservePort()
            self.refusing.append((held.getsockname()[1], held))
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Close everything that listens.
        """
        for backend in self.backends:
            backend.stop()
        for _, held in self.refusing:
            held.close()

    def fill(self, text: str) -> str:
        """
        C{text} with C{b1} and so on, C{dead1} and so on as addresses.
        """
        ports = {f"b{n}": each.port for n, each in enumerate(self.backends, 1)}
        ports.update({f"dead{n}": port for n, (port, _) in enumerate(self.refusing, 1)})
        return re.sub(
            r"\bserver (\w+)\b",
            lambda match: f"server 127.0.0.1:{ports[match[1]]}",
            text,
        )

    def compareGroups(self, groups: dict[str, str], plays: Sequence[Play]) -> None:
        """
        Compare C{plays}; a request names its group in C{X-Group}.

        @param groups: what stands in each C{upstream{}}.
        """
        inside = "".join(
            f"upstream {name} {{ {self.fill(text)} }}\n"
            for name, text in groups.items()
        )
        http = f"""
            {inside}
            set_real_ip_from 127.0.0.1;
            real_ip_header X-Client;
            server {{
                listen 127.0.0.1:%%front%%;
                proxy_ignore_client_abort on;
                proxy_next_upstream error timeout http_404;
                add_header X-Asked $upstream_addr always;
                location / {{ proxy_pass http://$http_x_group; }}
            }}
        """
        self.compare(Scene(http=http, plays=plays))

    def test_hash(self) -> None:
        """
        hash and hash consistent: keys, weights, dead servers, limits, no key.
        """
        sets = {
            "equal": "server b1; server b2; server b3;",
            "weighted": "server b1 weight=3; server b2; server b3 weight=7; server b4;",
            "dead": "server b1; server dead1; server b3 weight=2; server dead2;",
            "down": "server b1 down; server b2; server b3 down; server b4 max_fails=3;",
            "twice": "server b1; server b1; server b2;",
            "none": "server dead1; server dead2; server dead3;",
            "lone": "server b5;",
        }
        groups: dict[str, str] = {}
        for name, text in sets.items():
            groups[f"{name}_hash"] = f"hash $arg_key; {text}"
            groups[f"{name}_circle"] = f"hash $arg_key consistent; {text}"
        backup = "server dead1; server b1 backup; server b2 backup;"
        groups["backup_hash"] = f"{backup} hash $arg_key;"
        groups["backup_circle"] = f"{backup} hash $arg_key consistent;"
        plays = [
            get(
                f"{path}?key={key}",
                f"X-Group: {name}",
                name=f"{name} {path} {key}",
            )
            for name in groups
            for path, keys in (("/", 14), ("/close", 4), ("/404", 4))
            for key in ["", *range(keys), ""]
        ]
        self.compareGroups(groups, plays)

    def test_ipHash(self) -> None:
        """
        ip_hash by addresses of both families.
        """
        groups = {
            "equal": "ip_hash; server b1; server b2; server b3;",
            "weighted": "ip_hash; server b1 weight=3; server b2; server b3 weight=7;",
            "dead": "ip_hash; server b1; server dead1; server b3; server b4 down;",
            "backup": "server dead1; server b2 backup; server b3 backup; ip_hash;",
        }
        addresses = [f"10.{n * 7}.{n * n}.{n}" for n in range(12)]
        addresses += ["10.7.1.200", *(f"2001:db8::{n}:1" for n in range(8))]
        plays = [
            get(path, f"X-Group: {name}", f"X-Client: {each}", name=f"{name} {each}")
            for name in groups
            for path in ("/", "/close", "/404")
            for each in addresses
        ]
        self.compareGroups(groups, plays)

    def test_leastConn(self) -> None:
        """
        least_conn with servers that are held, fail and refuse.
        """
        groups = {
            "equal": "least_conn; server b1; server b2; server b3;",
            "weighted": "least_conn; server b1 weight=4; server b3 weight=2; server b5;",
            "dead": "server dead1 weight=5; server b1; server b2; least_conn;",
            "limit": "least_conn; server b1 max_conns=1; server b2 max_conns=2;"
            " server b3 backup;",
        }
        plays: list[Play] = []
        for name in groups:
            for path in ("/", "/close", "/404"):
                plays += [
                    get(path, f"X-Group: {name}", name=f"{name} {path} {n}")
                    for n in range(8)
                ]
        plays.append(Play("pause", Wait(0.1), Abort()))
        for name in groups:
            held = request("GET", "/hold", f"X-Group: {name}").steps[0]
            for n in range(6):
                # The request goes on without its client.
                plays.append(Play(f"{name} hold {n}", held, Wait(0.02), Abort()))
                plays.append(get("/", f"X-Group: {name}", name=f"{name} beside {n}"))
            plays.append(Play(f"{name} rest", Wait(HOLD + 0.3), Abort()))
            plays += [
                get("/", f"X-Group: {name}", name=f"{name} after {n}") for n in range(6)
            ]
        self.compareGroups(groups, plays)
