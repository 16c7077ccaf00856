"""
Tests for L{twisted_upstream.process.accepted}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import configure, messages
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.process.accepted import AcceptedOptions


class AcceptedTests(SynchronousTestCase):
    """
    Directives without effect.
    """

    def test_hashSizes(self) -> None:
        """
        Sizes of hash tables are accepted.
        """
        block = configure(
            "map_hash_max_size 1024; map_hash_bucket_size 128;"
            " types_hash_max_size 4096; types_hash_bucket_size 128;"
            + " variables_hash_max_size 1024; server_names_hash_bucket_size 64;",
            AcceptedOptions,
        )
        self.assertEqual(block.of(AcceptedOptions).sizes, ("1024", "64"))

    def test_files(self) -> None:
        """
        How nginx reads files is accepted, and checked.
        """
        configure(
            "sendfile on; tcp_nopush on; aio threads; read_ahead 1m; directio 4m;"
            " directio_alignment 4k; open_log_file_cache max=10 valid=1m;",
            AcceptedOptions,
        )
        for text, message in (
            ("directio x;", '"directio" directive invalid value'),
            (
                "sendfile x;",
                'invalid value "x" in "sendfile" directive, it must be "on" or "off"',
            ),
        ):
            error = self.assertRaises(ConfigError, configure, text, AcceptedOptions)
            self.assertEqual(messages(error), [message])
