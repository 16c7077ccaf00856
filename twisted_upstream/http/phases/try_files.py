"""
The first of several files that is there: C{try_files}.

nginx: ngx_http_try_files_module.c
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from errno import ENAMETOOLONG, ENOENT, ENOTDIR
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

from ...config.directive import Where, directive
from ...config.values import Template, parseNumber, parseTemplate
from .paths import Paths, compilePaths
from .script import shown

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request


@dataclass(frozen=True, slots=True)
class TryFiles:
    """
    C{try_files} as written.

    @ivar names: what to look for, and whether it must be a directory.
    @ivar fallback: URI or C{@name}; C{None}: fail with C{code}.
    """

    names: tuple[tuple[Template, bool], ...]
    fallback: Template | None
    code: int
    node: Node


def _tryFiles(node: Node) -> TryFiles:
    """
    nginx: ngx_http_try_files()
    """
    *names, last = node.words
    code = 0
    if last.startswith("="):
        try:
            code = parseNumber(last[1:])
        except ValueError:
            code = 1000
        if code > 999:
            raise node.error(f'invalid code "{last}"')
    return TryFiles(
        tuple(
            (parseTemplate(name.removesuffix("/")), name.endswith("/"))
            for name in names
        ),
        None if last.startswith("=") else parseTemplate(last),
        code,
        node,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TryFilesOptions:
    """
    What to look for before the content handler runs.
    """

    tryFiles: TryFiles | None = directive(
        "try_files",
        Where.SERVER | Where.LOCATION,
        _tryFiles,
        arity=(2, None),
        default=None,
        inherit=False,
        type="file ... uri | =code",
        doc="Use the first of these files that is there, else go to the last.",
    )


class _Name:
    """
    One name to try.
    """

    __slots__ = ("_alias", "_constant", "_value")

    def __init__(
        self, value: Callable[[Any], bytes], alias: int | None, constant: bool
    ) -> None:
        self._value = value
        self._alias = alias
        self._constant = constant

    def evaluate(self, request: Request) -> bytes:
        """
        The name; a computed one loses the location's name that an C{alias} stands for.
        """
        name = self._value(request)
        alias = self._alias
        if alias and not self._constant and name[:alias] == request.uri[:alias]:
            return name[alias:]
        return name


def _isDirectory(request: Request, path: bytes) -> bool | None:
    """
    Is there a directory, or something else, or nothing (C{None})?
    """
    try:
        return S_ISDIR(os.stat(path).st_mode)
    except ValueError:
        return None
    except OSError as e:
        if e.errno not in (ENOENT, ENOTDIR, ENAMETOOLONG):
            request.logError("crit", f'stat() "{shown(path)}" failed', e.errno or 0)
        return None


def _take(request: Request, paths: Paths, name: bytes, directory: bool) -> None:
    """
    Make the request one for what was found.
    """
    if paths.alias is None:
        if not directory:
            request.uri = name
            request.addUriToAlias = True
    else:
        request.uri = request.uri[: paths.alias] + name


def compileTryFiles(block: Block, build: Any) -> Callable[[Request], bool] | None:
    """
    Compile C{try_files} of one place.

    @param build: the composition at hand: C{compile} and C{prefix}.
    @return: C{None} when there is none; else a phase that runs just before the content
        handler: it may change C{request.uri}, or redirect or fail the request.
    @raise ConfigError: an unknown variable.
    """
    line = block.of(TryFilesOptions).tryFiles
    if line is None:
        return None
    paths = compilePaths(block, build)

    def named(template: Template) -> _Name:
        constant = template.constant is not None
        return _Name(build.compile(template, line.node), paths.alias, constant)

    names = tuple((named(template), directory) for template, directory in line.names)
    fallback = None if line.fallback is None else named(line.fallback)
    code = line.code

    def look(request: Request) -> bool:
        if not paths.usable(request):
            request.failResponse(500)
            return True
        root = paths.root(request)
        for candidate, directory in names:
            name = candidate.evaluate(request)
            if _isDirectory(request, root + name) is directory:
                _take(request, paths, name, directory)
                return False
        if fallback is None:
            request.failResponse(code)
            return True
        target = fallback.evaluate(request)
        if target.startswith(b"@"):
            request.namedLocation(shown(target))
            return True
        uri, _, args = target.partition(b"?")
        request.internalRedirect(uri, args)
        return True

    return look
