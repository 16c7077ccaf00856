"""
C{memcached_pass}: the value of a key from memcached, in its text protocol.

nginx: C{ngx_http_memcached_module.c}: C{ngx_http_memcached_create_request()},
C{ngx_http_memcached_process_header()}, C{ngx_http_memcached_filter()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..config.directive import HTTP_ANY, directive, number
from ..http.phases.paths import compileType
from ..interfaces import IDialect
from ..plugins import Dialect
from ..variables import Value
from ..wire.head import ResponseHead
from ..wire.response1 import InvalidHead
from .stores import ValueExchange, ValuePassOptions

#: What would end a key or the command, and what escapes it.
_escape = re.compile(rb"[\x00-\x20%]").sub
_mustEscape = re.compile(rb"[\x00-\x20%]").search

#: No value is as long, and nginx's numbers end here.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class MemcachedOptions:
    """
    What only memcached has.
    """

    gzipFlag: int = directive(
        "*_gzip_flag",
        HTTP_ANY,
        number,
        default=0,
        doc="Values whose flags have one of these bits are compressed: their responses"
        " say Content-Encoding: gzip.",
    )


class MemcachedPass:
    """
    C{memcached_pass} of one location.

    @ivar key: C{$memcached_key}.
    @ivar typeOf: the content type of a URI.
    """

    __slots__ = ("gzipFlag", "key", "typeOf")

    def __init__(self, block: Block, name: str, build: Any) -> None:
        """
        @raise ConfigError: nothing assigns to C{$memcached_key}.
        """
        _, node, _ = build.passOf(block, name)
        self.key: Value = build.compile("$memcached_key", node)
        self.gzipFlag = block.of(MemcachedOptions, name).gzipFlag
        self.typeOf: Callable[[bytes], bytes | None] = compileType(block)


class MemcachedExchange(ValueExchange):
    """
    One value.
    """

    scheme = b"memcached://"
    excessMessage = "memcached sent invalid trailer"
    end = b"\r\nEND\r\n"
    options: MemcachedPass

    def createRequest(self) -> bytes | None:
        """
        C{get} and the key.
        """
        client = self.client
        key = self.options.key(client)
        if not key:
            client.logError("error", 'the "$memcached_key" variable is not set')
            return None
        if _mustEscape(key):
            key = _escape(lambda found: b"%%%02X" % ord(found[0]), key)
        self._key = key
        self._start = b"VALUE %b " % key
        return b"get %b\r\n" % key

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the line before a value, or that there is none.
        """
        end = data.find(b"\n")
        if end < 0:
            return None
        line = data[:end]
        if line.endswith(b"\r"):
            if line.startswith(self._start):
                at = len(self._start)
                flags, space, length = line[at:-1].partition(b" ")
                # Longer numbers, and everything wrong, are looked at closely.
                if length.isdigit() and len(length) < 19 and not self.options.gzipFlag:
                    options = self.options
                    return ResponseHead(
                        200,
                        b"",
                        end + 1,
                        int(length),
                        b"",
                        options.typeOf(self.client.uri),
                    )
            line = line[:-1]
            if line.startswith(b"VALUE "):
                return self._value(line, end + 1)
            if line == b"END":
                self._log("info", b'key: "%b" was not found by memcached' % self._key)
                return ResponseHead(404, consumed=end + 1, contentLength=0)
        raise _invalid(b'memcached sent invalid response: "%b"' % line)

    def _value(self, line: bytes, consumed: int) -> ResponseHead:
        key = self._key
        at = len(key) + 6
        if not line.startswith(key, 6):
            raise self._wrong(b"key", line)
        flags, space, length = line[at + 1 :].partition(b" ")
        if line[at : at + 1] != b" " or not space:
            raise _invalid(b'memcached sent invalid response: "%b"' % line)
        options = self.options
        fields = b""
        if options.gzipFlag:
            if not flags.isdigit() or len(flags) > 19:
                raise self._wrong(b"flags", line)
            if int(flags) & options.gzipFlag:
                fields = b"\r\nContent-Encoding: gzip"
        if not length.isdigit() or len(length) > 19 or int(length) > _LARGEST:
            raise self._wrong(b"length", line)
        return ResponseHead(
            200,
            fields,
            consumed,
            int(length),
            contentType=options.typeOf(self.client.uri),
        )

    def _wrong(self, part: bytes, line: bytes) -> InvalidHead:
        return _invalid(
            b'memcached sent invalid %b in response "%b" for key "%b"'
            % (part, line, self._key)
        )

    def _log(self, level: str, message: bytes) -> None:
        self.client.logError(level, message.decode("utf-8", "replace"), action=_READING)


_READING = "reading response header from upstream"


def _invalid(message: bytes) -> InvalidHead:
    return InvalidHead(message.decode("utf-8", "replace"))


@implementer(IDialect)
class MemcachedDialect(Dialect):
    """
    memcached.
    """

    def __init__(self) -> None:
        super().__init__(
            "memcached",
            MemcachedExchange,
            MemcachedOptions,
            passOptions=ValuePassOptions,
            methods=(b"GET", b"HEAD"),
        )

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(MemcachedExchange, MemcachedPass(block, self.name, build))


memcached = MemcachedDialect()
