"""
Tests of L{twisted_upstream.config.known}.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.build import Grammar
from twisted_upstream.config.directive import Where, directive, flag, nothing
from twisted_upstream.config.known import MODULES, moduleOf, notSupported


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """
    C{allow} of http only, and C{stream}.
    """

    allow: bool = directive(
        "allow", Where.HTTP | Where.LOCATION, flag, default=False, doc=""
    )
    stream: bool = directive(
        "stream", Where.MAIN, nothing, default=False, opens=Where.STREAM, doc=""
    )


class KnownTests(SynchronousTestCase):
    """
    The table of nginx's directives.
    """

    def test_modules(self) -> None:
        """
        A directive is found with its module.
        """
        for name, module in [
            ("daemon", "ngx_core_module"),
            ("worker_connections", "ngx_event_core_module"),
            ("gzip", "ngx_http_gzip_filter_module"),
            ("proxy_pass", "ngx_http_proxy_module"),
            ("location", "ngx_http_core_module"),
            ("ssl_preread", "ngx_stream_ssl_preread_module"),
            ("mail", "ngx_mail_module"),
        ]:
            self.assertEqual(moduleOf(name), module)
        self.assertIsNone(moduleOf("gzipp"))

    def test_stream(self) -> None:
        """
        In C{stream}, a name that http has as well is stream's.
        """
        self.assertEqual(moduleOf("proxy_pass", stream=True), "ngx_stream_proxy_module")
        self.assertEqual(moduleOf("gzip", stream=True), "ngx_http_gzip_filter_module")

    def test_clean(self) -> None:
        """
        No module names a directive twice, and names are names.
        """
        for module, names in MODULES.items():
            found = names.split()
            self.assertEqual(len(found), len(set(found)), module)
            for name in found:
                self.assertRegex(name, r"\A[a-z][a-z0-9_]*\Z")

    def test_notSupported(self) -> None:
        """
        What a grammar lacks is listed by module; http and stream do not stand in for
        each other.
        """
        grammar = Grammar()
        grammar.add(Access)
        missing = dict(notSupported(grammar))
        self.assertEqual(missing["ngx_http_access_module"], ("deny",))
        self.assertEqual(missing["ngx_stream_access_module"], ("allow", "deny"))
        self.assertNotIn("ngx_stream_module", missing)
        self.assertIn("slice", missing["ngx_http_slice_filter_module"])
