"""
C{uwsgi_pass}: the native protocol of uWSGI servers.

nginx: C{ngx_http_uwsgi_module.c}: C{ngx_http_uwsgi_create_request()},
C{ngx_http_uwsgi_process_header()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..config.directive import HTTP_ANY, directive
from ..config.syntax import Node
from ..interfaces import IDialect
from ..plugins import Dialect
from ..upstream.tls_options import UpstreamTLSOptions
from .cgi import CGIPass, CGIPassOptions
from .params import ParamOptions
from .scgi import UpgradingExchange

#: What a request's head can say of its own length.
_MOST = 65535


def _modifier(node: Node) -> int:
    word = node.words[0]
    if not (word.isascii() and word.isdigit()):
        raise ValueError("invalid number")
    value = int(word)
    if value > 255:
        raise ValueError("value must be between 0 and 255")
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class UwsgiOptions:
    """
    What only uwsgi has.
    """

    modifier1: int = directive(
        "*_modifier1",
        HTTP_ANY,
        _modifier,
        arity=(1, 1),
        default=0,
        doc="The first modifier of requests: which plugin of the server answers.",
    )
    modifier2: int = directive(
        "*_modifier2",
        HTTP_ANY,
        _modifier,
        arity=(1, 1),
        default=0,
        doc="The second modifier of requests.",
    )


class UwsgiPass(CGIPass):
    """
    C{uwsgi_pass} of one location.
    """

    def __init__(self, block: Block, name: str, build: Any) -> None:
        super().__init__(block, name, build)
        options = block.of(UwsgiOptions, name)
        self.text = build.passOf(block, name)[0].constant
        self.modifier1 = options.modifier1
        self.modifier2 = options.modifier2


class UwsgiExchange(UpgradingExchange):
    """
    One request to a uWSGI server.
    """

    scheme = b"uwsgi://"

    def __init__(self, options: UwsgiPass, client: Any) -> None:
        super().__init__(options, client)
        if options.text is not None:
            self.setScheme(options.text)

    def authority(self, text: bytes) -> tuple[bytes, int] | None:
        """
        What the variables of C{uwsgi_pass} say for this request.
        """
        self.setScheme(text)
        return _authority(text), 0

    def setScheme(self, text: bytes) -> None:
        """
        C{suwsgi}: over TLS.
        """
        if text[:9].lower() == b"suwsgi://":
            self.secure = True
            self.scheme = b"suwsgi://"
            self.secureName = _authority(text).removeprefix(b"unix:")

    def createRequest(self) -> bytes | None:
        """
        The modifiers and the parameters; C{None}: these are longer than can be told.
        """
        options = self.options
        pairs = list(options.params.of(self.client))
        size = sum(4 + len(name) + len(value) for name, value in pairs)
        if size > _MOST:
            self.client.logError("alert", f"uwsgi request is too big: {size}")
            return None
        text = b"".join(
            [
                b"%b%b%b%b" % (_length(name), name, _length(value), value)
                for name, value in pairs
            ]
        )
        return b"%c%b%c%b" % (
            options.modifier1,
            _length(text),
            options.modifier2,
            text,
        )


def _length(text: bytes) -> bytes:
    return len(text).to_bytes(2, "little")


def _authority(text: bytes) -> bytes:
    if text[:9].lower() == b"suwsgi://":
        return text[9:]
    return text[8:] if text[:8].lower() == b"uwsgi://" else text


@implementer(IDialect)
class UwsgiDialect(Dialect):
    """
    uwsgi.
    """

    def __init__(self) -> None:
        super().__init__(
            "uwsgi", UwsgiExchange, ParamOptions, passOptions=CGIPassOptions
        )
        self.moreOptions = (UwsgiOptions, UpstreamTLSOptions)

    def authority(self, text: bytes) -> tuple[bytes, int]:
        """
        A constant C{uwsgi_pass}.
        """
        return _authority(text), 0

    def mayBeSecure(self, text: str) -> bool | None:
        """
        C{suwsgi}, or whatever variables say.
        """
        if text[:9].lower() == "suwsgi://":
            return True
        return None if text.startswith("$") else False

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(UwsgiExchange, UwsgiPass(block, self.name, build))


uwsgi = UwsgiDialect()
