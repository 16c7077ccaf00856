"""
Bodies of HTTP/1 messages, and of protocols that frame alike: decoders, and the encoder
of chunks.

Decoders take pieces of any size.  None of them keeps what it has handed on, nor looks
at a byte twice; only trailers are collected, if wanted, up to a limit.

nginx: ngx_http_parse_chunked(), ngx_http_proxy_chunked_filter(),
ngx_http_proxy_process_trailer(), ngx_http_memcached_filter()
"""

from __future__ import annotations

import re

from zope.interface import implementer

from ..interfaces import IInputFilter
from .fields import InvalidField, joinFields, readFields

#: Ends a chunked body that has no trailers.
LAST_CHUNK = b"0\r\n\r\n"


class InvalidBody(Exception):
    """
    A body breaks the protocol.  The text is for the error log.
    """


@implementer(IInputFilter)
class Length:
    """
    A body whose length was told.

    @ivar remaining: bytes of it that have not come.
    @ivar excess: what came after it.
    """

    __slots__ = ("excess", "remaining")

    def __init__(self, length: int) -> None:
        """
        @param length: bytes.
        """
        self.remaining = length
        self.excess = b""

    def inputFilter(self, data: bytes) -> bytes:
        """
        Take the next bytes received, return bytes of the body.
        """
        missing = self.remaining - len(data)
        if missing >= 0:
            self.remaining = missing
            return data
        self.excess += data[missing:]
        self.remaining = 0
        return data[:missing]


@implementer(IInputFilter)
class UntilClose:
    """
    A body that ends with its connection.

    @ivar remaining: C{None}: nobody knows.
    @ivar excess: nothing: all is body.
    """

    __slots__ = ("excess", "remaining")

    def __init__(self) -> None:
        self.remaining = None
        self.excess = b""

    def inputFilter(self, data: bytes) -> bytes:
        """
        Return C{data}.
        """
        return data


@implementer(IInputFilter)
class Trailed:
    """
    A body of known length and then fixed bytes, which are no part of it: memcached's
    C{END}, Redis's line end.

    @ivar remaining: bytes that have not come, the trailer's included.
    @ivar excess: what came after the trailer.
    @ivar valid: the trailer was what it should be, so far.  When it turns out wrong,
        the body is complete all the same, and the connection of no more use.
    """

    __slots__ = ("_trailer", "excess", "remaining", "valid")

    def __init__(self, length: int, trailer: bytes) -> None:
        """
        @param length: bytes of the body.
        @param trailer: what must follow it.
        """
        self._trailer = trailer
        self.remaining = length + len(trailer)
        self.excess = b""
        self.valid = True

    def inputFilter(self, data: bytes) -> bytes:
        """
        Take the next bytes received, return bytes of the body.
        """
        trailer = self._trailer
        bodyLeft = self.remaining - len(trailer)
        if len(data) == self.remaining and bodyLeft >= 0 and data.endswith(trailer):
            self.remaining = 0
            return data[:bodyLeft]
        if len(data) <= bodyLeft:
            self.remaining -= len(data)
            return data
        bodyLeft = max(bodyLeft, 0)
        # The trailer's bytes that have come before, those that come now, and the rest.
        met = len(trailer) - min(self.remaining, len(trailer))
        end = bodyLeft + len(trailer) - met
        if not trailer.startswith(data[bodyLeft:end], met):
            self.valid = False
            self.remaining = 0
            self.excess += data[bodyLeft:]
            return data[:bodyLeft]
        self.remaining = max(self.remaining - len(data), 0)
        self.excess += data[end:]
        return data[:bodyLeft]


# The states of Chunked: what the next byte belongs to.
(
    _START,
    _SIZE,
    _EXTENSION,
    _SIZE_LF,
    _DATA,
    _DATA_CR,
    _DATA_LF,
    _LAST_EXTENSION,
    _LAST_LF,
    _TRAILER,
    _END_LF,
    _TRAILER_LINE,
    _TRAILER_LF,
    _COLLECT,
    _DONE,
) = range(15)

#: How many bytes are missing at least, by state; those of the chunk come on top.
_MISSING = (5, 4, 9, 8, 7, 7, 6, 4, 3, 2, 1, 4, 3, 1, 0)

# Whole lines that begin a chunk, at the start and after another chunk.  Longer numbers,
# parts of lines and everything wrong are for the states.
_SIZE_LINE = rb"0*([0-9A-Fa-f]{1,14})(?:[;\t ][^\r\n]*+)?\r\n"
_matchFirst = re.compile(_SIZE_LINE).match
_matchNext = re.compile(rb"\r\n" + _SIZE_LINE).match

_matchHex = re.compile(rb"[0-9A-Fa-f]+").match
_skipText = re.compile(rb"[^\r\n]*+").match

_CR = 0x0D
_LF = 0x0A
#: A chunk can have no more bytes: nginx leaves four bits of its counter free.
_LARGEST_CHUNK = (1 << 59) - 1


@implementer(IInputFilter)
class Chunked:
    """
    A body in chunks.

    @ivar remaining: at least so many bytes have not come; 0: the body is complete.
    @ivar trailers: fields after the last chunk, as a canonical block, if they are
        collected.
    @ivar excess: what came after the end: the next request, or what a server should not
        have sent.
    """

    __slots__ = (
        "_collected",
        "_left",
        "_limit",
        "_message",
        "_state",
        "excess",
        "remaining",
        "trailers",
    )

    def __init__(
        self, *, fromClient: bool = False, trailerLimit: int | None = None
    ) -> None:
        """
        @param fromClient: whom the error log blames.
        @param trailerLimit: collect trailers, up to so many bytes; C{None}: skip them,
            however long they are.
        """
        self.remaining = _MISSING[_START]
        self.trailers = b""
        self.excess = b""
        self._state = _START
        # Bytes of the chunk that have not come; while its size is read: the size.
        self._left = 0
        self._limit = trailerLimit
        self._collected = b""
        self._message = (
            "client sent invalid chunked body"
            if fromClient
            else "upstream sent invalid chunked response"
        )

    def inputFilter(self, data: bytes) -> bytes:
        """
        Take the next bytes received, return bytes of the body.

        @raise InvalidBody: these bytes break the protocol; they are lost altogether.
        """
        left = self._left
        count = len(data)
        if self._state == _DATA and count < left:
            self._left = left - count
            self.remaining -= count
            return data
        return self._decode(data, count)

    def _decode(self, data: bytes, count: int) -> bytes:
        """
        Take bytes among which is an end of a chunk, or something between chunks.
        """
        pieces = []
        position = 0
        state = self._state
        while position < count:
            if state == _DATA:
                end = position + self._left
                pieces.append(data[position:end])
                if end > count:
                    self._left = end - count
                    break
                self._left = 0
                position = end
                state = _DATA_CR
                continue
            match = None
            if state == _DATA_CR:
                match = _matchNext(data, position)
            elif state == _START:
                match = _matchFirst(data, position)
            if match is not None:
                position = match.end()
                self._left = int(match[1], 16)
                if self._left:
                    state = _DATA
                    continue
                state = self._afterLastChunk()
                if state == _TRAILER and data.startswith(b"\r\n", position):
                    position += 2
                    state = _DONE
            elif state == _COLLECT:
                state = self._collect(data, position)
                break
            elif state == _DONE:
                self.excess += data[position:]
                break
            else:
                position, state = self._step(data, position, state)
        self._state = state
        self.remaining = _MISSING[state] + self._left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _afterLastChunk(self) -> int:
        return _TRAILER if self._limit is None else _COLLECT

    def _step(self, data: bytes, position: int, state: int) -> tuple[int, int]:
        """
        Take one byte between chunks, or a run of bytes that do not matter.

        @return: the position after it, and the state.
        """
        byte = data[position]
        if state in _TEXT:
            match = _skipText(data, position)
            assert match is not None, "the pattern matches nothing, too"
            if match.end() > position:
                return match.end(), state
            if byte == _LF:
                raise InvalidBody(self._message)
            return position + 1, _TEXT[state]
        if state in _LINE_ENDS:
            wanted, following = _LINE_ENDS[state]
            if byte != wanted:
                raise InvalidBody(self._message)
            if state == _LAST_LF:
                following = self._afterLastChunk()
            return position + 1, following
        if state == _TRAILER:
            if byte == _LF:
                raise InvalidBody(self._message)
            return position + 1, _END_LF if byte == _CR else _TRAILER_LINE
        return self._stepSize(data, position, state)

    def _stepSize(self, data: bytes, position: int, state: int) -> tuple[int, int]:
        """
        Take digits of a chunk's size, or what follows them.
        """
        match = _matchHex(data, position)
        if match is not None:
            # Zeros may lead without end: the number so far is all that is kept.
            digits = match[0].lstrip(b"0") if self._left == 0 else match[0]
            if len(digits) > 16:
                raise InvalidBody(self._message)
            self._left = (self._left << 4 * len(digits)) + int(digits or b"0", 16)
            if self._left > _LARGEST_CHUNK:
                raise InvalidBody(self._message)
            return match.end(), _SIZE
        byte = data[position]
        if state == _START or byte not in b"\r; \t":
            raise InvalidBody(self._message)
        if self._left:
            return position + 1, _SIZE_LF if byte == _CR else _EXTENSION
        return position + 1, _LAST_LF if byte == _CR else _LAST_EXTENSION

    def _collect(self, data: bytes, position: int) -> int:
        """
        Take bytes of the trailers.

        @return: the state after them.
        """
        assert self._limit is not None
        room = self._limit - len(self._collected)
        self._collected += data[position : position + room]
        try:
            found = readFields(self._collected, 0, fromServer=True)
        except InvalidField as e:
            raise InvalidBody(f'upstream sent invalid trailer: "{e.shown}"') from None
        if found is None:
            if len(self._collected) >= self._limit:
                raise InvalidBody("upstream sent too big trailers")
            return _COLLECT
        fields, end = found
        self.trailers = joinFields(fields)
        self.excess = self._collected[end:] + data[position + room :]
        self._collected = b""
        return _DONE


#: States in which everything is skipped up to a CR, and what follows the CR.
_TEXT = {
    _EXTENSION: _SIZE_LF,
    _LAST_EXTENSION: _LAST_LF,
    _TRAILER_LINE: _TRAILER_LF,
}

#: States that want one byte, and what follows it.
_LINE_ENDS = {
    _SIZE_LF: (_LF, _DATA),
    _DATA_CR: (_CR, _DATA_LF),
    _DATA_LF: (_LF, _START),
    _LAST_LF: (_LF, _TRAILER),
    _END_LF: (_LF, _DONE),
    _TRAILER_LF: (_LF, _TRAILER),
}


def encodeChunk(data: bytes) -> bytes:
    """
    C{data} as a chunk; nothing for no data, because an empty chunk would be the last.
    """
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encodeLastChunk(trailers: bytes) -> bytes:
    """
    The end of a chunked body.

    @param trailers: a canonical block; empty gives L{LAST_CHUNK}.
    """
    return b"0" + trailers + b"\r\n\r\n"
