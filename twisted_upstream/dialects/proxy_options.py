"""
What C{proxy_*} may be told that other dialects may not.

nginx: C{ngx_http_proxy_commands}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import HTTP_ANY, InvalidValue, directive, flag, template
from ..config.syntax import Node
from ..config.values import Template


def _version(node: Node) -> bytes:
    word = node.words[0]
    if word == "2":
        raise node.error("HTTP/2 to servers is not supported", word=0)
    if word not in ("1.0", "1.1"):
        raise InvalidValue(word, "")
    return word.encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class SetHeader:
    """
    One C{proxy_set_header}.
    """

    node: Node
    name: bytes
    value: str


def _setHeader(node: Node) -> SetHeader:
    name, value = node.words
    return SetHeader(
        node=node, name=name.encode("utf-8", "surrogateescape"), value=value
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyOptions:
    """
    What only HTTP has.
    """

    setHeaders: tuple[SetHeader, ...] = directive(
        "*_set_header",
        HTTP_ANY,
        _setHeader,
        arity=(2, 2),
        repeat=True,
        default=(),
        doc="A field of requests to servers; an empty value removes it.",
    )
    httpVersion: bytes = directive(
        "*_http_version",
        HTTP_ANY,
        _version,
        arity=(1, 1),
        default=b"1.1",
        doc="The version of requests to servers.",
    )
    method: Template | None = directive(
        "*_method",
        HTTP_ANY,
        template,
        default=None,
        doc="The method of requests to servers, instead of the client's.",
    )
    setBody: Template | None = directive(
        "*_set_body",
        HTTP_ANY,
        template,
        default=None,
        doc="The body of requests to servers, instead of the client's.",
    )
    passTrailers: bool = directive(
        "*_pass_trailers",
        HTTP_ANY,
        flag,
        default=False,
        doc="Pass the trailers of chunked responses to clients.",
    )
