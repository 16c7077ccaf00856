"""
twisted.web.proxy as a program: C{python -m benchmarks.webproxy -p DIR ...}.

The arguments are nginx's, and the configuration in DIR is two numbers: the port to
listen on and that of the origin.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> None:
    """
    Serve until killed.
    """
    from twisted.internet import reactor
    from twisted.web.proxy import ReverseProxyResource
    from twisted.web.server import Site

    prefix = Path(arguments[arguments.index("-p") + 1])
    listen, origin = map(int, (prefix / "nginx.conf").read_text().split())
    # Without a log path it writes no access log, as everyone else here.
    site: Any = Site(ReverseProxyResource("127.0.0.1", origin, b""))
    reactor.listenTCP(listen, site, backlog=511, interface="127.0.0.1")
    (prefix / "nginx.pid").write_text(f"{os.getpid()}\n")
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
