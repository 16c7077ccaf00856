"""
The text of URIs: from what a client sent to the path that locations are compared with,
and back to something that may be sent.

nginx: ngx_http_parse_complex_uri(), ngx_http_parse_unsafe_uri(), ngx_escape_uri(),
ngx_unescape_uri()
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Controls are let through: whoever reads a request line has refused them.
_PLAIN = re.compile(rb"((?:/[^%#?/.][^%#?/]*+)*/?)(?:\?([^#]*+))?")
_END_OF_PATH = re.compile(rb"[?#]")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})?")


class BadURI(ValueError):
    """
    A path that no file can have: C{%} without two hexadecimal digits, a NUL, or C{..}
    above the root.
    """


class UnsafeURI(ValueError):
    """
    A path that leads out of the tree it stands in.
    """


def normalizePath(path: bytes, mergeSlashes: bool = True) -> tuple[bytes, bytes]:
    """
    Decode a path, resolve C{.} and C{..}, and cut off arguments and fragment.

    @param path: as it stands in a request line, from its first slash on; or, after an
        authority without a path, from its question mark on.
    @param mergeSlashes: several slashes count as one.
    @return: the path, decoded; and the arguments, as they were.
    @raise BadURI: there is no such path.

    nginx: ngx_http_parse_complex_uri()
    """
    match = _PLAIN.fullmatch(path)
    if match is not None:
        return match[1] or b"/", match[2] or b""
    # A question mark or a number sign that was encoded is one of the path.
    end = _END_OF_PATH.search(path)
    arguments = b""
    encoded = path
    if end is not None:
        encoded = path[: end.start()]
        if end[0] == b"?":
            arguments = path[end.end() :].partition(b"#")[0]
    return _resolve(_decode(encoded), mergeSlashes), arguments


def _decode(encoded: bytes) -> bytes:
    """
    Decode every C{%XX}; all else is left as it is.
    """
    if b"%" not in encoded:
        return encoded
    first, *rest = encoded.split(b"%")
    decoded = [first]
    for piece in rest:
        byte = _BYTES.get(piece[:2])
        if byte is None:
            raise BadURI("a percent sign needs two hexadecimal digits, not 00")
        decoded.append(byte)
        decoded.append(piece[2:])
    return b"".join(decoded)


def _resolve(path: bytes, mergeSlashes: bool) -> bytes:
    """
    Resolve C{.} and C{..}, and merge slashes.
    """
    segments = path.split(b"/")
    last = len(segments) - 1
    kept: list[bytes] = []
    # Before the first slash there is nothing.
    for index in range(1, last + 1):
        segment = segments[index]
        if segment == b"..":
            if not kept:
                raise BadURI("there is nothing above the root")
            kept.pop()
        elif segment != b"." and (segment or index == last or not mergeSlashes):
            kept.append(segment)
            continue
        if index == last and segment:
            # What remains is a folder: it ends with a slash.
            kept.append(b"")
    return b"/" + b"/".join(kept)


#: What two hexadecimal digits stand for; a NUL cannot be written.
_BYTES = {
    digits.encode(): bytes([number])
    for number in range(1, 256)
    for digits in {
        f"{number:02x}",
        f"{number:02X}",
        f"{number >> 4:x}{number & 15:X}",
        f"{number >> 4:X}{number & 15:x}",
    }
}


def _escaper(unsafe: bytes) -> Callable[[bytes], bytes]:
    """
    A function that writes some bytes as C{%XX}.

    @param unsafe: the inside of a regular expression's character class.
    """
    pattern = re.compile(b"[" + unsafe + b"]")
    table = {bytes([number]): b"%%%02X" % number for number in range(256)}

    def replace(match: re.Match[bytes]) -> bytes:
        return table[match[0]]

    def escape(data: bytes) -> bytes:
        return pattern.sub(replace, data) if pattern.search(data) else data

    return escape


# Controls, space, quotation mark, < > \ ^ ` { | } DEL and all that is not ASCII may
# never stand in a URI.
_NEVER = rb'\x00-\x20"<>\\^`{|}\x7f-\xff'

#: Write a path: C{# % ?} too.  nginx: NGX_ESCAPE_URI
escapeUri = _escaper(_NEVER + rb"#%?")
#: Write a value among arguments: C{# % & + ; ?} too.  nginx: NGX_ESCAPE_ARGS
escapeArgs = _escaper(_NEVER + rb"#%&+;?")
#: Write a link in a page: C{# % '} too.  nginx: NGX_ESCAPE_HTML
escapeLink = _escaper(_NEVER + rb"#%'")
#: Write one component: all but letters, digits, C{- . _ ~}.
#: nginx: NGX_ESCAPE_URI_COMPONENT
escapeComponent = _escaper(rb"^A-Za-z0-9._~\-")
#: Write a URI into a page: quotation marks and the apostrophe; C{# %} too.
#: nginx: NGX_ESCAPE_HTML
escapeHtmlUri = _escaper(_NEVER + rb"#%'")
#: Write a URI that is already encoded, C{%XX} and arguments and all, into a Refresh.
#: nginx: NGX_ESCAPE_REFRESH
escapeRefresh = _escaper(rb"""\x00-\x20"'<>\\^`{|\x7e-\xff""")
#: Write a key of memcached: controls, space and C{%}.  nginx: NGX_ESCAPE_MEMCACHED
escapeMemcached = _escaper(rb"\x00-\x20%")


_ESCAPED = re.compile(rb"%(?:([0-9A-Fa-f])(?:([0-9A-Fa-f])|(.)?)|(.)?)", re.DOTALL)


def unescape(data: bytes) -> bytes:
    """
    Decode every C{%XX}.  Nothing is refused: of a percent sign without digits only what
    follows is left, and of one with a single digit nothing, nor of the byte after it.

    nginx: ngx_unescape_uri(), type 0
    """
    return _ESCAPED.sub(_unescaped, data) if b"%" in data else data


def _unescaped(match: re.Match[bytes]) -> bytes:
    first, second, _, other = match.groups()
    if second is not None:
        return bytes([int(first + second, 16)])
    return b"" if first is not None else other or b""


def unescapeRedirect(data: bytes) -> bytes:
    """
    Decode C{%XX} up to a question mark, but only where it stands for a printable
    character beyond C{%}: what remains may be put into a Location.

    nginx: ngx_unescape_uri(), NGX_UNESCAPE_REDIRECT
    """
    decoded: list[bytes] = []
    position = 0
    while position < len(data):
        query = data.find(b"?", position)
        match = _ESCAPED.search(data, position)
        if match is None or 0 <= query < match.start():
            break
        decoded.append(data[position : match.start()])
        position = match.end()
        byte = _unescaped(match)
        if byte == b"?" and match[2] is not None:
            decoded.append(byte)
            break
        if match[2] is not None and not 0x25 < byte[0] < 0x7F:
            byte = match[0]
        decoded.append(byte)
    decoded.append(data[position:])
    return b"".join(decoded)


# Where a path begins, or a folder, and ".." is all its name.
_UP = re.compile(rb"(?:\A|/)\.\.(?:/|\Z)")


def splitSafe(uri: bytes) -> tuple[bytes, bytes]:
    """
    Take a URI from a source that is not the request line: a server's
    C{X-Accel-Redirect}, an SSI command.

    @return: the path, decoded; and the arguments, as they were.
    @raise UnsafeURI: it is empty, has a NUL or C{..} in it, plain or encoded.

    nginx: ngx_http_parse_unsafe_uri().  It overlooks C{/..?} at the end of a path.
    """
    path, _, arguments = uri.partition(b"?")
    # Both are looked at: the path is decoded here, and never again.
    decoded = unescape(path)
    if not path or b"\0" in path or b"\0" in decoded:
        raise UnsafeURI("empty, or with a NUL")
    if _UP.search(path) or _UP.search(decoded):
        raise UnsafeURI("leads upwards")
    return decoded, arguments
