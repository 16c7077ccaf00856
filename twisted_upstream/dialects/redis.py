"""
C{redis_pass}: the value of a key from Redis, in RESP2.

AUTH, where there is a password, SELECT and GET leave in one write.  SELECT is always
sent: a kept connection may come from a location that selects another database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..config.directive import HTTP_ANY, directive, template
from ..config.syntax import Node
from ..config.values import Template, parseTemplate
from ..http.phases.paths import compileType
from ..interfaces import IDialect
from ..plugins import Dialect
from ..variables import Getter, Value
from ..wire.head import ResponseHead
from ..wire.response1 import InvalidHead
from .stores import ValueExchange, ValuePassOptions


def _auth(node: Node) -> tuple[Template, ...]:
    return tuple(parseTemplate(word) for word in node.words)


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisOptions:
    """
    What only Redis has.
    """

    database: Template | None = directive(
        "*_database",
        HTTP_ANY,
        template,
        default=None,
        origin="ours",
        doc="The number of the database that is asked; by default C{$redis_db}, and 0"
        " where that is not set.",
    )
    auth: tuple[Template, ...] = directive(
        "*_auth",
        HTTP_ANY,
        _auth,
        arity=(1, 2),
        default=(),
        type="[user] password",
        origin="ours",
        doc="What connections to servers begin with; an empty password: nothing.",
    )


#: The answer to GET, after the answers to what went before it: nothing, or a length.
_parse = re.compile(rb"\$(-1|[0-9]{1,15})\r\n").match
_OK = b"+OK\r\n"


def command(*words: bytes) -> bytes:
    """
    A command as Redis reads it: any bytes may be in its words.
    """
    return b"*%d\r\n" % len(words) + b"".join(
        [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    )


class RedisPass:
    """
    C{redis_pass} of one location.

    @ivar key: C{$redis_key}.
    @ivar typeOf: the content type of a URI.
    """

    __slots__ = ("auth", "database", "key", "typeOf")

    def __init__(self, block: Block, name: str, build: Any) -> None:
        """
        @raise ConfigError: a variable is unknown.
        """
        _, node, _ = build.passOf(block, name)
        options = block.of(RedisOptions, name)
        # Nobody has to set it: what is asked for is the key then.
        self.key: Getter = build.variables.optional("redis_key")
        self.database: Getter = build.variables.optional("redis_db")
        if options.database is not None:
            self.database = build.compile(options.database, node)
        self.auth: tuple[Value, ...] = tuple(
            build.compile(word, node) for word in options.auth
        )
        self.typeOf: Callable[[bytes], bytes | None] = compileType(block)


class RedisExchange(ValueExchange):
    """
    One value.
    """

    scheme = b"redis://"
    excessMessage = "redis sent invalid trailer"
    end = b"\r\n"
    options: RedisPass

    def createRequest(self) -> bytes | None:
        """
        C{AUTH}, C{SELECT} and C{GET}.
        """
        client = self.client
        options = self.options
        database = options.database(client) or b"0"
        if not database.isdigit():
            shown = database.decode("utf-8", "replace")
            client.logError("error", f'invalid database of redis "{shown}"')
            return None
        words = [word(client) for word in options.auth]
        out = command(b"SELECT", database)
        self._before = 1
        if words and words[-1]:
            out = command(b"AUTH", *words) + out
            self._before = 2
        return out + command(b"GET", options.key(client) or client.uri)

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the answers to what went before, and the line before a value.
        """
        at = self._before * len(_OK)
        rest = data[at:]
        if (_OK * self._before).startswith(data[:at]):
            found = _parse(data, at)
            if found is not None:
                return self._head(found)
        else:
            # The answer that is not +OK.
            rest = data.removeprefix(_OK)
        line, end, _ = rest.partition(b"\r\n")
        if not end and len(line) < 80 and b"\n" not in line:
            return None
        shown = line[:80].decode("utf-8", "replace")
        raise InvalidHead(f'redis sent invalid response: "{shown}"')

    def _head(self, found: re.Match[bytes]) -> ResponseHead:
        if found[1] == b"-1":
            self.client.logError(
                "info",
                "the key was not found by redis",
                action="reading response header from upstream",
            )
            return ResponseHead(404, consumed=found.end(), contentLength=0)
        return ResponseHead(
            200,
            consumed=found.end(),
            contentLength=int(found[1]),
            contentType=self.options.typeOf(self.client.uri),
        )


@implementer(IDialect)
class RedisDialect(Dialect):
    """
    Redis.
    """

    def __init__(self) -> None:
        super().__init__(
            "redis",
            RedisExchange,
            RedisOptions,
            passOptions=ValuePassOptions,
            methods=(b"GET", b"HEAD"),
        )

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(RedisExchange, RedisPass(block, self.name, build))

    def account(self, block: Block) -> Hashable:
        """
        Who has the password of one location has not that of another.
        """
        return tuple(word.text for word in block.of(RedisOptions, self.name).auth)


redis = RedisDialect()
