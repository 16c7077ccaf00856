"""
Tests for L{twisted_upstream.dialects.params}; what servers get of it is tested with
each dialect.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import configure
from twisted_upstream.dialects.params import ParamOptions, Params


class Build:
    """
    Compiles texts to themselves.
    """

    @staticmethod
    def compile(text: str, node: object) -> Any:
        return lambda client: client.values.get(text, text.encode())


def paramsOf(text: str, fields: bytes, **values: bytes) -> list[tuple[bytes, bytes]]:
    """
    The parameters of one request.
    """
    block = configure(text, ParamOptions, prefix="scgi")
    client = SimpleNamespace(head=SimpleNamespace(fields=fields), values=values)
    options = block.of(ParamOptions, "scgi")
    return list(Params(options.params, Build(), True).of(client))


class ParamsTests(SynchronousTestCase):
    """
    L{Params}.
    """

    def test_order(self) -> None:
        """
        Lines come in order, repeated ones too, and the client's fields after them.
        """
        self.assertEqual(
            paramsOf("scgi_param A 1; scgi_param B 2; scgi_param A 3;", b"\r\nC-d: 4"),
            [(b"A", b"1"), (b"B", b"2"), (b"A", b"3"), (b"HTTP_C_D", b"4")],
        )

    def test_ifNotEmpty(self) -> None:
        """
        if_not_empty leaves a line out where it has no value.
        """
        text = "scgi_param A x if_not_empty; scgi_param B x;"
        self.assertEqual(paramsOf(text, b"", x=b""), [(b"B", b"")])
        self.assertEqual(paramsOf(text, b""), [(b"A", b"x"), (b"B", b"x")])

    def test_replaced(self) -> None:
        """
        HTTP_* of the configuration stands for the client's field; without a value
        there is none.
        """
        self.assertEqual(
            paramsOf(
                'scgi_param HTTP_A x; scgi_param HTTP_B_C "";',
                b"\r\nA: 1\r\nB-C: 2\r\nb-c: 3\r\nD: 4",
            ),
            [(b"HTTP_A", b"x"), (b"HTTP_D", b"4")],
        )
