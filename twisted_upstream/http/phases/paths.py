"""
Where a URI is on disk, and what type it is: C{root}, C{alias}, C{types},
C{default_type}.

nginx: ngx_http_core_root(), ngx_http_map_uri_to_path(), ngx_http_set_content_type()
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, text
from ...config.values import Template, parseTemplate
from ..location_name import modifierOf

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request

#: Types that are known when no C{types} is written anywhere.
_DEFAULT_TYPES = {b"html": b"text/html", b"gif": b"image/gif", b"jpg": b"image/jpeg"}


@dataclass(frozen=True, slots=True)
class PathLine:
    """
    C{root} or C{alias} as written.
    """

    value: Template
    node: Node


def _path(node: Node) -> PathLine:
    word = node.words[0]
    for name in ("document_root", "realpath_root"):
        if f"${name}" in word or f"${{{name}}}" in word:
            raise node.error(
                f'the ${name} variable cannot be used in the "{node.name}" directive',
                word=0,
            )
    if node.name == "root":
        word = word.removesuffix("/")
    return PathLine(parseTemplate(word), node)


def _types(node: Node) -> dict[bytes, bytes]:
    """
    A C{types} block: types by extension in lower case.

    nginx: ngx_http_core_type()
    """
    found: dict[bytes, bytes] = {}
    for line in node.block or ():
        kind = line.name.encode("utf-8", "surrogateescape")
        for word in line.words:
            extension = word.lower().encode("utf-8", "surrogateescape")
            old = found.get(extension)
            if old is not None:
                line.warning(
                    f'duplicate extension "{word}", content type: "{line.name}",'
                    f' previous content type: "{old.decode("utf-8", "replace")}"'
                )
            found[extension] = kind
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class PathOptions:
    """
    Where files are and what they are.
    """

    root: PathLine | None = directive(
        "root",
        HTTP_ANY | Where.IF,
        _path,
        default=None,
        inherit=False,
        type="path",
        doc="The directory that URIs are looked for in.",
    )
    alias: PathLine | None = directive(
        "alias",
        Where.LOCATION,
        _path,
        default=None,
        inherit=False,
        type="path",
        doc="What stands for the location's name in the paths of files.",
    )
    types: tuple[dict[bytes, bytes], ...] = directive(
        "types",
        HTTP_ANY,
        _types,
        arity=(0, 0),
        default=(),
        repeat=True,
        opens=Where.RAW,
        doc="Content types by extension.",
    )
    defaultType: str = directive(
        "default_type",
        HTTP_ANY,
        text,
        default="text/plain",
        doc="The content type of all other extensions.",
    )


def extension(uri: bytes) -> bytes:
    """
    What follows the last dot of the last part of a URI; empty for C{/.hidden}.

    nginx: ngx_http_set_exten()
    """
    name = uri[uri.rfind(b"/") + 1 :]
    dot = name.rfind(b".")
    return name[dot + 1 :] if dot > 0 else b""


def compileType(block: Block) -> Callable[[bytes], bytes | None]:
    """
    Compile C{types} and C{default_type} of one place.

    @return: takes a URI, answers its content type; C{None}: the field is left out.
    """
    options = block.of(PathOptions)
    types: dict[bytes, bytes] = {}
    for some in options.types or (_DEFAULT_TYPES,):
        types.update(some)
    default = options.defaultType.encode("utf-8", "surrogateescape") or None

    def typeOf(uri: bytes) -> bytes | None:
        return types.get(extension(uri).lower(), default)

    return typeOf


class Paths:
    """
    Maps the URIs of one place to paths of files.

    @ivar alias: how many bytes of the URI the C{alias} stands for; 0 without one;
        C{None} when it stands for all of it (regular expressions).
    """

    __slots__ = ("_base", "_name", "_prefix", "_variable", "alias")

    def __init__(
        self,
        base: Callable[[Any], bytes],
        alias: int | None,
        name: str,
        prefix: bytes,
        variable: bool,
    ) -> None:
        self._base = base
        self._name = name
        self._prefix = prefix
        self._variable = variable
        self.alias = alias

    def root(self, request: Request) -> bytes:
        """
        What C{root} or C{alias} says for this request, as an absolute path.
        """
        base = self._base(request)
        if self._variable and not base.startswith(b"/"):
            return self._prefix + base
        return base

    def usable(self, request: Request) -> bool:
        """
        Can the URI be mapped?  Not after a rewrite that left it in a location with an
        C{alias}: its beginning is no longer the location's name.
        """
        if self.alias == 0 or request.validLocation:
            return True
        request.logError(
            "alert",
            f'"alias" cannot be used in location "{self._name}"'
            " where URI was rewritten",
        )
        return False

    def path(self, request: Request) -> bytes:
        """
        The path of the request's URI.  To be asked only where L{usable} says so.

        nginx: ngx_http_map_uri_to_path()
        """
        if self.alias is None:
            root = self.root(request)
            return root + request.uri if request.addUriToAlias else root
        return self.root(request) + request.uri[self.alias :]


def compilePaths(block: Block, build: Any) -> Paths:
    """
    Compile the C{root} or C{alias} in force in one place.

    @param build: the composition at hand: C{compile}, and C{prefix}, the directory that
        relative paths are under.
    @raise ConfigError: both are written in one block; an unknown variable.
    """
    prefix = os.fsencode(build.prefix)
    if not prefix.endswith(b"/"):
        prefix += b"/"
    place: Block | None = block
    while place is not None:
        options = place.of(PathOptions)
        root, alias = options.root, options.alias
        if root is not None and alias is not None:
            raise alias.node.error(
                '"alias" directive is duplicate, "root" directive was specified earlier'
            )
        line = root or alias
        if line is not None:
            return _paths(place, line, build, prefix)
        place = place.parent
    base = prefix + b"html"
    return Paths(lambda request: base, 0, "", prefix, False)


def _paths(block: Block, line: PathLine, build: Any, prefix: bytes) -> Paths:
    """
    @param block: where C{line} stands: an C{alias} is for the name of this location.
    """
    name, alias = "", 0 if line.node.name == "root" else None
    if alias is None:
        modifier, name = modifierOf(block.node)
        if modifier in ("~", "~*"):
            name = ""
        if name.startswith("@"):
            raise line.node.error(
                'the "alias" directive cannot be used inside the named location'
            )
        if name:
            alias = len(name.encode("utf-8", "surrogateescape"))
    constant = line.value.constant
    if constant is None:
        return Paths(build.compile(line.value, line.node), alias, name, prefix, True)
    base = constant if constant.startswith(b"/") else prefix + constant
    if line.node.words[0] == "/" and line.node.name == "root":
        base = b""
    return Paths(lambda request: base, alias, name, prefix, False)
