"""
One page whose commands are carried out.

What it consists of stands in a queue: its own text, and the pages it includes, which
are asked for at once and come out one after the other.  Nothing is read ahead once
enough waits there.

nginx: C{ngx_http_ssi_filter_module.c}: C{ngx_http_ssi_body_filter()} and what it calls
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ...wire.uri import UnsafeURI, splitSafe
from ..filters import BodyFilter
from ..subrequest import Memory, Subrequest, startSubrequest
from .ssi_commands import (
    AFTER_ELSE,
    AFTER_IF,
    CONDITIONAL,
    ENCODINGS,
    NEVER,
    PARAMETERS,
    checkInclude,
    escapeEntities,
    parameters,
    show,
    written,
)
from .ssi_parser import Command, Event, Parser, Wrong
from .ssi_text import Invalid, Shared, evaluate, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .ssi import SSIOptions


#: So much of a page may wait in the queue, and so many inclusions.
_MOST_BYTES = 65536
_MOST_ITEMS = 64
#: All blocks of a response together.
_MOST_BLOCKS = 1024 * 1024
_ERROR = b"[an error occurred while processing the directive]"
#: How times are written unless C{timefmt} says another way.
TIME = b"%A, %d-%b-%Y %H:%M:%S %Z"


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
        self._encode: Callable[[bytes], bytes] = escapeEntities
        self._error = _ERROR
        self._output = True
        self._chosen = False
        self._conditional = NEVER
        self._block: list[bytes] | None = None
        self.timeFormat = TIME
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
        known = PARAMETERS.get(name)
        if known is None:
            if self._output:
                raise Invalid(f'invalid SSI command: "{show(name)}"')
            return
        conditional = CONDITIONAL.get(name, NEVER)
        if not self._output and name != b"endblock":
            if self._block is not None:
                self._addBlock(written(command))
                return
            if not conditional:
                return
        if conditional and not 0 < self._conditional <= conditional:
            raise Invalid(f'invalid context of SSI command: "{show(name)}"')
        _HANDLERS[name](self, parameters(command, known))

    def _echo(self, given: Mapping[bytes, bytes]) -> None:
        value = self._shared.value(self._reply, given[b"var"].lower())
        if value is None:
            value = given.get(b"default", b"(none)")
        if not value:
            return
        encoding = given.get(b"encoding")
        if encoding is not None:
            encode = ENCODINGS.get(encoding)
            if encode is None:
                self._log(f'unknown encoding "{show(encoding)}" in the "echo" command')
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
        self._conditional = AFTER_IF

    def _else(self, given: Mapping[bytes, bytes]) -> None:
        self._output = not self._chosen
        self._conditional = AFTER_ELSE

    def _endif(self, given: Mapping[bytes, bytes]) -> None:
        self._output = True
        self._chosen = False
        self._conditional = NEVER

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
        waits = checkInclude(given)
        written = given.get(b"virtual", given.get(b"file", b""))
        target = evaluate(self._shared, self._reply, written)
        if not target.startswith(b"/") and (target or b"$" not in written):
            target = self._reply.uri.rpartition(b"/")[0] + b"/" + target
        try:
            uri, args = splitSafe(target)
        except UnsafeURI:
            raise Invalid(f'unsafe URI "{show(target)}" was detected') from None
        stub = None
        if b"stub" in given:
            block = self._shared.blocks.get(given[b"stub"])
            if block is None:
                shown = show(given[b"stub"])
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
