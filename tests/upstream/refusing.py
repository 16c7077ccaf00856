"""
Configurations that are refused.
"""

from __future__ import annotations

from tests.support.conversation import ConversationCase
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError


class RefusingCase(ConversationCase):
    """
    A test of what is wrong in a configuration.
    """

    def refuses(self, text: str, *expected: str) -> None:
        """
        C{text} is refused with messages that contain these.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        found = messages(error)
        self.assertEqual(len(found), len(expected), found)
        for message, part in zip(found, expected, strict=True):
            self.assertIn(part, message)

    def refusesGroup(self, text: str, expected: str) -> None:
        """
        C{text} is refused with a message that contains this; whatever names the group
        that cannot be made may be complained of besides.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        found = messages(error)
        self.assertTrue(any(expected in each for each in found), found)
