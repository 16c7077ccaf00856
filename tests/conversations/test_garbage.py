"""
What is over is freed at once, and does not wait for the garbage collector.
"""

from __future__ import annotations

import gc
import platform

from tests.support.conversation import ConversationCase, answer, get, proxy
from twisted_upstream.http.request import Request


class GarbageTests(ConversationCase):
    """
    Cycles of references, which only the collector would find.
    """

    if platform.python_implementation() != "CPython":
        skip = "only CPython counts references"

    def test_requests(self) -> None:
        """
        Requests on a connection that lives leave nothing for the collector.
        """
        talk = self.talk(proxy())
        client = talk.client()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        server = None
        for _ in range(3):
            client.sends(get("/a"))
            server = server or talk.server()
            server.hears("GET /a HTTP/1.1")
            server.sends(answer(b"hello"))
            client.hears(200, b"hello")
        talk.isQuiet()
        self.addCleanup(gc.garbage.clear)
        self.addCleanup(gc.set_debug, gc.get_debug())
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [each for each in gc.garbage if type(each) is Request]
        self.assertEqual(found, [])
