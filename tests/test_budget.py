"""
How many calls a request costs.

Exact on every machine, so it is a gate; times are only watched.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from types import FrameType
from typing import Any

import twisted_upstream
from tests.support.conversation import ConversationCase, answer, get, proxy

#: Calls into our package for one GET on kept connections, a tenth more than measured.
GET = 72

_OURS = os.path.dirname(os.path.abspath(twisted_upstream.__file__)) + os.sep
#: The world around it, which in production is the kernel.
_WORLD = os.path.join(_OURS, "testing", "")


class BudgetTests(ConversationCase):
    """
    Calls of functions of ours.
    """

    def test_get(self) -> None:
        """
        A kept-alive GET through the proxy stays within its budget.
        """
        talk = self.talk(proxy())
        client = talk.client()
        request, response = get("/path", "X-A: b"), answer(b"hello", "X-C: d")
        client.sends(request)
        server = talk.server()
        server.sends(response)
        client.hears(200, b"hello")
        client.sends(request)
        server.raw()
        server.sends(response)
        client.hears(200, b"hello")

        calls: Counter[str] = Counter()

        def profile(frame: FrameType, event: str, argument: Any) -> None:
            code = frame.f_code
            path = code.co_filename
            if event == "call" and path.startswith(_OURS):
                if not path.startswith(_WORLD):
                    calls[f"{path[len(_OURS) :]}:{code.co_qualname}"] += 1

        sys.setprofile(profile)
        try:
            client.sends(request)
            server.sends(response)
        finally:
            sys.setprofile(None)
        client.hears(200, b"hello")
        listed = "\n".join(f"{count} {name}" for name, count in calls.items())
        total = sum(calls.values())
        self.assertLessEqual(total, GET, listed)
        # A budget that nobody comes near guards nothing.
        self.assertGreater(total, GET * 3 // 4, "lower the budget")
