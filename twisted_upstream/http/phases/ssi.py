"""
C{ssi}: commands in pages, among them those that include other pages.

What a page consists of stands in a queue: its own text, and the pages it includes,
which are asked for at once and come out one after the other.  Nothing is read ahead
once enough waits there.

nginx: C{ngx_http_ssi_filter_module.c}
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, flag, size
from ...wire.uri import UnsafeURI, escapeLink, splitSafe
from ..filters import BodyFilter
from ..subrequest import Memory, Subrequest, startSubrequest
from .gzip_accept import editChanged
from .media_types import compileTypes, mediaTypes
from .ssi_parser import MOST_PARAMETERS, Command, Event, Parser, Wrong
from .ssi_text import Invalid, Shared, evaluate, formatTime, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...config.build import Block
    from ...wire.head import ResponseHead


@dataclass(frozen=True, kw_only=True, slots=True)
class SSIOptions:
    """
    Commands in pages.
    """

    ssi: bool = directive(
        "ssi",
        HTTP_ANY | Where.IF,
        flag,
        default=False,
        doc="Carry out the SSI commands in responses.",
    )
    silentErrors: bool = directive(
        "ssi_silent_errors",
        HTTP_ANY,
        flag,
        default=False,
        doc="Put nothing in the place of a command that is wrong.",
    )
    ignoreRecycled: bool = directive(
        "ssi_ignore_recycled_buffers",
        HTTP_ANY,
        flag,
        default=False,
        doc="Accepted; nothing to tune.",
    )
    minFileChunk: int = directive(
        "ssi_min_file_chunk",
        HTTP_ANY,
        size,
        default=1024,
        unit="bytes",
        doc="Accepted; pages with commands are read, not sent from the file.",
    )
    valueLength: int = directive(
        "ssi_value_length",
        HTTP_ANY,
        size,
        default=255,
        unit="bytes",
        doc="Longest value of a command's parameter.",
    )
    types: tuple[tuple[str, ...], ...] = directive(
        "ssi_types",
        HTTP_ANY,
        mediaTypes,
        arity=(1, None),
        default=(),
        repeat=True,
        type="mime-type ...",
        doc="Content types in which commands are looked for besides text/html; * is"
        " all.",
    )
    lastModified: bool = directive(
        "ssi_last_modified",
        HTTP_ANY,
        flag,
        default=False,
        doc="Keep Last-Modified, and the ETag as a weak one.",
    )


#: So much of a page may wait in the queue, and so many inclusions.
_MOST_BYTES = 65536
_MOST_ITEMS = 64
#: All blocks of a response together.
_MOST_BLOCKS = 1024 * 1024

_ERROR = b"[an error occurred while processing the directive]"
_TIME = b"%A, %d-%b-%Y %H:%M:%S %Z"

#: Parameters of each command; those with a C{!} must be there.
_PARAMETERS: Mapping[bytes, tuple[bytes, ...]] = {
    b"include": (b"virtual", b"file", b"wait", b"set", b"stub"),
    b"echo": (b"!var", b"default", b"encoding"),
    b"config": (b"errmsg", b"timefmt"),
    b"set": (b"!var", b"!value"),
    b"if": (b"!expr",),
    b"elif": (b"!expr",),
    b"else": (),
    b"endif": (),
    b"block": (b"!name",),
    b"endblock": (),
}
_NEVER, _AFTER_IF, _AFTER_ELSE = range(3)
#: Up to where in an C{if} a command may stand.
_CONDITIONAL = {b"elif": _AFTER_IF, b"else": _AFTER_IF, b"endif": _AFTER_ELSE}

_ENTITIES = {b"<": b"&lt;", b">": b"&gt;", b"&": b"&amp;", b'"': b"&quot;"}
_SPECIAL = re.compile(rb'[<>&"]')


def _escapeEntities(value: bytes) -> bytes:
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], value)


_ENCODINGS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"none": lambda value: value,
    b"url": escapeLink,
    b"entity": _escapeEntities,
}


def _show(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class SSI(BodyFilter):
    """
    One page whose commands are carried out.

    @ivar timeFormat: of C{$date_local} and C{$date_gmt}.
    """

    __slots__ = (
        "_again",
        "_block",
        "_chosen",
        "_conditional",
        "_encode",
        "_error",
        "_events",
        "_output",
        "_parser",
        "_queue",
        "_queued",
        "_running",
        "_shared",
        "_silent",
        "_waited",
        "timeFormat",
    )

    def __init__(self, request: Any, options: SSIOptions) -> None:
        super().__init__(request, _MOST_BYTES)
        notes = request.main.notes
        if Shared not in notes:
            notes[Shared] = Shared()
        self._shared: Shared = notes[Shared]
        self._parser = Parser(options.valueLength)
        self._silent = options.silentErrors
        self._events: deque[Event] = deque()
        self._queue: deque[bytes | Subrequest] = deque()
        self._queued = 0
        self._waited: Subrequest | None = None
        self._running = self._again = False
        self._encode: Callable[[bytes], bytes] = _escapeEntities
        self._error = _ERROR
        self._output = True
        self._chosen = False
        self._conditional = _NEVER
        self._block: list[bytes] | None = None
        self.timeFormat = _TIME
        request.notes[SSI] = self

    # ---- what comes out -------------------------------------------------------------

    def _go(self) -> None:
        """
        Go on until something has to be waited for.
        """
        if self._running:
            self._again = True
            return
        self._running = True
        try:
            while self._turn():
                pass
        finally:
            self._running = False

    def _turn(self) -> bool:
        """
        Read, carry out and put what can be.

        @return: there may be more to do.
        """
        self._again = False
        self._read()
        if not self.waiting:
            return False
        if self._put():
            return self.waiting
        if self._again:
            return True
        if self._queue or self._waited is not None or not self.waiting:
            return False
        self.waiting = False
        following = self.next
        if self._ending:
            rest = self._parser.rest()
            if rest and self._output:
                following.putBody(rest)
            if self._ending == 1:
                following.putEnd()
            else:
                following.putCut()
            return False
        drained, self.drained = self.drained, None
        if drained is not None:
            drained()
        return False

    def _read(self) -> None:
        """
        Read the page as long as little waits.
        """
        while (
            self._waited is None
            and self._queued <= _MOST_BYTES
            and len(self._queue) < _MOST_ITEMS
        ):
            if self._events:
                self._carryOut(self._events.popleft())
            elif self._parts:
                try:
                    data = self._take()
                except OSError as e:
                    self._broken(f"pread() failed ({e.errno}: {e.strerror})")
                    return
                self._events.extend(self._parser.feed(data))
            else:
                return
            if not self.waiting:
                return

    def _put(self) -> bool:
        """
        Put what stands first in the queue.

        @return: something was put, and there is room for more.
        """
        queue, following = self._queue, self.next
        moved = False
        while queue:
            first = queue[0]
            if isinstance(first, Subrequest) and first.isActive:
                if not first.isDone:
                    return False
                queue.popleft()
                moved = True
                continue
            if not following.canPut(self._most):
                following.whenPut(self._go)
                return False
            moved = True
            if isinstance(first, Subrequest):
                first.activate(following)
                continue
            parts = []
            while queue and isinstance(queue[0], bytes):
                parts.append(queue.popleft())
            out = b"".join(part for part in parts if isinstance(part, bytes))
            self._queued -= len(out)
            following.putBody(out)
            if not self.waiting:
                return False
        return moved

    def _add(self, data: bytes) -> None:
        if data:
            self._queue.append(data)
            self._queued += len(data)

    def stop(self) -> None:
        """
        Forget what waits, and what was asked for.
        """
        super().stop()
        queue, self._queue = self._queue, deque()
        waited, self._waited = self._waited, None
        self._events.clear()
        for each in (*queue, waited):
            if isinstance(each, Subrequest):
                each.discard()

    def _log(self, message: str) -> None:
        request = self._reply
        action = request.action or "sending response to client"
        request.logError("error", message, action=action)

    # ---- commands -------------------------------------------------------------------

    def _carryOut(self, event: Event) -> None:
        """
        nginx: ngx_http_ssi_body_filter()
        """
        if isinstance(event, bytes):
            if self._output:
                self._add(event)
            elif self._block is not None:
                self._addBlock(event)
            return
        try:
            if isinstance(event, Wrong):
                if not event.ended:
                    self._log(event.message)
                    return
                raise Invalid("")
            self._command(event)
        except Invalid as e:
            if str(e):
                self._log(str(e))
            if not self._silent:
                self._add(self._error)

    def _command(self, command: Command) -> None:
        name = command.name
        known = _PARAMETERS.get(name)
        if known is None:
            if self._output:
                raise Invalid(f'invalid SSI command: "{_show(name)}"')
            return
        conditional = _CONDITIONAL.get(name, _NEVER)
        if not self._output and name != b"endblock":
            if self._block is not None:
                self._addBlock(_written(command))
                return
            if not conditional:
                return
        if conditional and not 0 < self._conditional <= conditional:
            raise Invalid(f'invalid context of SSI command: "{_show(name)}"')
        _HANDLERS[name](self, _parameters(command, known))

    def _echo(self, given: Mapping[bytes, bytes]) -> None:
        value = self._shared.value(self._reply, given[b"var"].lower())
        if value is None:
            value = given.get(b"default", b"(none)")
        if not value:
            return
        encoding = given.get(b"encoding")
        if encoding is not None:
            encode = _ENCODINGS.get(encoding)
            if encode is None:
                self._log(f'unknown encoding "{_show(encoding)}" in the "echo" command')
            else:
                self._encode = encode
        self._add(self._encode(value))

    def _config(self, given: Mapping[bytes, bytes]) -> None:
        self.timeFormat = given.get(b"timefmt", self.timeFormat)
        self._error = given.get(b"errmsg", self._error)

    def _set(self, given: Mapping[bytes, bytes]) -> None:
        value = evaluate(self._shared, self._reply, given[b"value"])
        self._shared.assign(given[b"var"].lower(), value)

    def _if(self, given: Mapping[bytes, bytes]) -> None:
        if self._conditional:
            raise Invalid('the "if" command inside the "if" command')
        self._elif(given)

    def _elif(self, given: Mapping[bytes, bytes]) -> None:
        if self._chosen:
            self._output = False
            return
        self._output = holds(self._shared, self._reply, given[b"expr"])
        self._chosen = self._chosen or self._output
        self._conditional = _AFTER_IF

    def _else(self, given: Mapping[bytes, bytes]) -> None:
        self._output = not self._chosen
        self._conditional = _AFTER_ELSE

    def _endif(self, given: Mapping[bytes, bytes]) -> None:
        self._output = True
        self._chosen = False
        self._conditional = _NEVER

    def _addBlock(self, text: bytes) -> None:
        blocks = self._shared.blocks
        if len(text) + sum(len(t) for b in blocks.values() for t in b) > _MOST_BLOCKS:
            self._log("too much text in SSI blocks")
            return
        assert self._block is not None
        self._block.append(text)

    # The first block of a name is the one that counts; others are read all the same.
    def _beginBlock(self, given: Mapping[bytes, bytes]) -> None:
        self._block = []
        self._shared.blocks.setdefault(given[b"name"], self._block)
        self._output = False

    def _endblock(self, given: Mapping[bytes, bytes]) -> None:
        self._output = True
        self._block = None

    # ---- inclusions -----------------------------------------------------------------

    def _include(self, given: Mapping[bytes, bytes]) -> None:
        """
        nginx: ngx_http_ssi_include()
        """
        waits = _checkInclude(given)
        written = given.get(b"virtual", given.get(b"file", b""))
        target = evaluate(self._shared, self._reply, written)
        if not target.startswith(b"/") and (target or b"$" not in written):
            target = self._reply.uri.rpartition(b"/")[0] + b"/" + target
        try:
            uri, args = splitSafe(target)
        except UnsafeURI:
            raise Invalid(f'unsafe URI "{_show(target)}" was detected') from None
        stub = None
        if b"stub" in given:
            block = self._shared.blocks.get(given[b"stub"])
            if block is None:
                shown = _show(given[b"stub"])
                raise Invalid(f'"stub"="{shown}" for "include" not found')
            stub = b"".join(block)
        name = given.get(b"set")
        if name is None:
            made = startSubrequest(self._reply, uri, args, self._includeDone, stub)
            if made is None:
                raise Invalid("")
            self._queue.append(made)
            if waits:
                self._waited = made
            return
        name = name.lower()
        self._shared.variables.setdefault(name, b"")
        made = startSubrequest(
            self._reply, uri, args, lambda: self._setDone(name, memory)
        )
        if made is None:
            raise Invalid("")
        memory = Memory(made)
        made.activate(memory)
        self._waited = made

    def _includeDone(self) -> None:
        waited = self._waited
        if waited is not None and waited.isDone:
            self._waited = None
        if self.waiting:
            self._go()

    def _setDone(self, name: bytes, memory: Memory) -> None:
        waited = self._waited
        if waited is not None and waited.status < 300 and memory.value:
            self._shared.variables[name] = memory.value
        self._includeDone()


_HANDLERS: Mapping[bytes, Callable[[SSI, Mapping[bytes, bytes]], None]] = {
    b"include": SSI._include,
    b"echo": SSI._echo,
    b"config": SSI._config,
    b"set": SSI._set,
    b"if": SSI._if,
    b"elif": SSI._elif,
    b"else": SSI._else,
    b"endif": SSI._endif,
    b"block": SSI._beginBlock,
    b"endblock": SSI._endblock,
}


def _written(command: Command) -> bytes:
    """
    A command as text.
    """
    parts = [b"<!--#", command.name]
    parts += [b' %b="%b"' % parameter for parameter in command.parameters]
    return b"".join(parts) + b" -->"


def _parameters(command: Command, known: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """
    Values by name.

    @raise Invalid: some are not known, or missing.
    """
    shown = _show(command.name)
    if len(command.parameters) > MOST_PARAMETERS:
        raise Invalid(f'too many SSI command parameters: "{shown}"')
    given: dict[bytes, bytes] = {}
    for key, value in command.parameters:
        if key not in known and b"!" + key not in known:
            raise Invalid(
                f'invalid parameter name: "{_show(key)}" in "{shown}" SSI command'
            )
        if key in given:
            raise Invalid(
                f'duplicate "{_show(key)}" parameter in "{shown}" SSI command'
            )
        given[key] = value
    for each in known:
        if each.startswith(b"!") and each[1:] not in given:
            raise Invalid(
                f'mandatory "{_show(each[1:])}" parameter is absent in "{shown}"'
                " SSI command"
            )
    return given


def _checkInclude(given: Mapping[bytes, bytes]) -> bool:
    """
    @return: is the rest of the page to wait?
    """
    virtual, file = given.get(b"virtual"), given.get(b"file")
    if virtual is not None and file is not None:
        raise Invalid(
            f'inclusion may be either virtual="{_show(virtual)}" or'
            f' file="{_show(file)}"'
        )
    if virtual is None and file is None:
        raise Invalid('no parameter in "include" SSI command')
    if b"set" in given and b"stub" in given:
        raise Invalid(
            '"set" and "stub" cannot be used together in "include" SSI command'
        )
    wait = given.get(b"wait")
    if wait is None:
        return virtual is None
    if file is not None:
        raise Invalid(f'"wait" cannot be used with file="{_show(file)}"')
    if wait.lower() not in (b"yes", b"no"):
        raise Invalid(f'invalid value "{_show(wait)}" in the "wait" parameter')
    return wait.lower() == b"yes"


def dateVariable(request: Any, gmt: bool) -> bytes | None:
    """
    C{$date_local}, C{$date_gmt}.
    """
    page = request.notes.get(SSI)
    form = _TIME if page is None else page.timeFormat
    now = request.connection.factory.served.wallClock()
    return formatTime(form, now, gmt)


_LAST_MODIFIED = re.compile(rb"\r\nlast-modified:[^\r]*", re.I)
_ETAG = re.compile(rb"\r\netag:[^\r]*", re.I)


class _Factory:
    """
    C{ssi} of one place.
    """

    __slots__ = ("_matches", "_options")

    def __init__(self, options: SSIOptions) -> None:
        self._options = options
        self._matches = compileTypes(options.types)

    def applies(self, request: Any, head: ResponseHead) -> bool:
        """
        Are there commands to be looked for?
        """
        return head.contentLength != 0 and self._matches(head.contentType)

    def begin(self, request: Any, head: ResponseHead) -> SSI | None:
        """
        Edit the head, and carry commands out if so.
        """
        if not self.applies(request, head):
            return None
        editChanged(head)
        if not self._options.lastModified:
            head.lastModified = None
            head.fields = _ETAG.sub(b"", _LAST_MODIFIED.sub(b"", head.fields))
        return SSI(request, self._options)


def compileSSI(block: Block, build: Any) -> _Factory | None:
    """
    Compile C{ssi} of one place; C{None} when it is off.
    """
    options = block.of(SSIOptions)
    return _Factory(options) if options.ssi else None
