"""
Parsers and decoders, given their input in pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

#: What a call came to: a value, or the exception's class and text.
Result = Any


def outcome(call: Callable[[], Any]) -> Result:
    """
    What C{call} returns, or what it raises.
    """
    try:
        return call()
    except Exception as e:
        return type(e), str(e)


def everySplit(
    parse: Callable[[bytes], Any], data: bytes
) -> Iterator[tuple[int, Result]]:
    """
    Give a parser more and more of C{data}, as a connection would: it asks for more, or
    has come to its result.

    @param parse: takes all bytes so far, returns C{None} when it needs more.
    @return: for each number of bytes at which there is a result: the number, and it.
    """
    for count in range(len(data) + 1):
        found = outcome(lambda count=count: parse(data[:count]))  # type: ignore[misc]
        if found is not None:
            yield count, found


def decodeInPieces(decoder: Any, data: bytes, size: int) -> bytes:
    """
    Give a decoder C{data} in pieces.

    @param size: bytes of each piece.
    @return: the body.
    """
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join([decoder.inputFilter(piece) for piece in pieces])
