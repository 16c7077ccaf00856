"""
What was written and the options classes make L{Block}s: arguments counted and
converted, places checked, values inherited.

nginx: C{ngx_conf_handler()} in C{core/ngx_conf_file.c}, the C{merge_*_conf} functions
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from .directive import Directive, InvalidValue, Where, bind
from .known import moduleOf
from .syntax import COMMAND_LINE, ConfigError, Document, Node, Problem
from .values import InvalidTemplate

T = TypeVar("T")

#: An options class and what C{*} in its directives stands for.
Key = tuple[type[Any], str]

#: "Did you mean" compares with every name; more than so many mistakes are no slips.
MAX_SUGGESTIONS = 20

# What nginx merges only downwards: no request is ever served by these places.
_OUTER = Where.HTTP | Where.STREAM


class Block:
    """
    A C{{ }} of the configuration, or all of it.

    @ivar node: where it comes from; of the whole, a node without a name.
    @ivar where: what kind of block it is.
    @ivar parent: the block around it.
    @ivar inner: the blocks in it in the order of the file, without those that their
        own directive reads (C{Where.RAW}).
    @ivar value: what the converter made of the words before the brace.
    """

    __slots__ = (
        "node",
        "where",
        "parent",
        "inner",
        "value",
        "_handed",
        "_kept",
        "_given",
        "_made",
        "__weakref__",
    )

    def __init__(
        self, node: Node, where: Where, parent: Block | None, value: Any = None
    ) -> None:
        self.node = node
        self.where = where
        self.parent = parent
        self.inner: tuple[Block, ...] = ()
        self.value = value
        # What was said in this block, by field: what inner blocks inherit, and what
        # they do not.
        self._handed: dict[Key, dict[str, Any]] = {}
        self._kept: dict[Key, dict[str, Any]] = {}
        self._given: dict[Key, dict[str, Any]] = {}
        self._made: dict[Key, Any] = {}

    def __repr__(self) -> str:
        return f"<Block {self.where.names[0]} {self.node!r}>"

    def of(self, options: type[T], prefix: str = "") -> T:
        """
        The options that count here: what was said in this block, else what the
        nearest block around it says, else the defaults.  The same object every time.

        A method C{merged(block)} of the class is called once per block and answers
        the options to use: for defaults that depend on other options, and for checks.

        @raise ConfigError: what C{merged} finds wrong.
        """
        key = (options, prefix)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(options, key)
        result: T = made
        return result

    def has(self, options: type[Any], fieldName: str, prefix: str = "") -> bool:
        """
        Was this said in this very block?
        """
        key = (options, prefix)
        return fieldName in self._handed.get(key, ()) or (
            fieldName in self._kept.get(key, ())
        )

    def nodes(self, name: str) -> tuple[Node, ...]:
        """
        The lines of a directive in this very block, for messages about them.
        """
        return tuple(node for node in self.node.block or () if node.name == name)

    def _make(self, options: type[Any], key: Key) -> Any:
        merged = getattr(options, "merged", None)
        given = self._values(key)
        kept = self._kept.get(key)
        parent = self.parent
        if kept is not None:
            given = given | kept
        elif (
            merged is None
            and parent is not None
            and key not in parent._kept
            and given is parent._values(key)
        ):
            # Where nothing new was said, the options are the same object.
            return parent.of(options, key[1])
        made = options(**given)
        return made if merged is None else merged(made, self)

    def _values(self, key: Key) -> dict[str, Any]:
        """
        What was said here or around and is inherited, by field; without defaults.
        """
        found = self._given.get(key)
        if found is None:
            found = self._handed.get(key, {})
            if self.parent is not None:
                outer = self.parent._values(key)
                found = outer | found if found else outer
            self._given[key] = found
        return found


class Grammar:
    """
    All directives that a configuration may use.

    @ivar warnings: what L{build} warned of, and what C{merged} methods warn of later.
    """

    def __init__(self) -> None:
        self.warnings: list[Problem] = []
        self._places: dict[Where, dict[str, Directive]] = {
            place: {} for place in Where if place is not Where.RAW
        }
        self._names: dict[str, list[Directive]] = {}
        self._keys: set[Key] = set()

    def add(self, options: type[Any], prefix: str = "") -> None:
        """
        Add the directives of an options class.  Adding it again changes nothing.

        @param prefix: what C{*} in their names stands for: one class serves several
            prefixes.
        @raise ValueError: a directive would mean two things in one place.
        """
        key = (options, prefix)
        if key in self._keys:
            return
        new = bind(options, prefix)
        for each in new:
            for place in each.where:
                other = self._places[place].get(each.name)
                if other is not None:
                    raise ValueError(
                        f'"{each.name}" is both {other.options.__name__}.'
                        f"{other.fieldName} and {options.__name__}.{each.fieldName}"
                        f" in {place.names[0]}"
                    )
        self._keys.add(key)
        for each in new:
            self._names.setdefault(each.name, []).append(each)
            for place in each.where:
                self._places[place][each.name] = each

    def directives(self) -> Iterable[Directive]:
        """
        Every directive in order of addition; one per name and declaration.
        """
        for found in self._names.values():
            yield from found

    def named(self, name: str) -> tuple[Directive, ...]:
        """
        The directives of this name: they differ by their places.
        """
        return tuple(self._names.get(name, ()))

    def at(self, place: Where) -> dict[str, Directive]:
        """
        The directives that are allowed in one place, by name.  Not to be changed.
        """
        return self._places[place]

    def build(self, document: Document) -> Block:
        """
        Check a configuration and convert it.

        @return: the main level.
        @raise ConfigError: with every problem, in the order of the files.
        """
        self.warnings = []
        for source in document.sources:
            source.warnings = self.warnings
        root = Block(Node("", block=document.nodes), Where.MAIN, None)
        building = _Building(self)
        building.fill(root)
        if not building.problems:
            # Values that could not be read would only give further complaints here.
            building.check(root)
        if building.problems:
            raise ConfigError(building.problems)
        return root


class _Building:
    """
    One run of L{Grammar.build}.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._suggestions = 0
        self._seen: set[Problem] = set()
        self.problems: list[Problem] = []

    def fill(self, block: Block) -> None:
        """
        Convert the lines of a block, and its inner blocks.
        """
        allowed = self._grammar.at(block.where)
        first: dict[tuple[type[Any], str, str], Node] = {}
        repeated: list[tuple[dict[str, Any], str]] = []
        inner: list[Block] = []
        for node in block.node.block or ():
            directive = allowed.get(node.name)
            if directive is None:
                self._unexpected(node, block.where)
                continue
            message = _shape(node, directive)
            if message:
                self._complain(node.error(message))
                continue
            opens = directive.opens
            checked = opens is not None and opens is not Where.RAW
            options, prefix = directive.options, directive.prefix
            place = (options, prefix, directive.fieldName)
            earlier = None if directive.repeat else first.get(place)
            value = None
            try:
                _count(node, directive)
                if earlier is not None:
                    raise _duplicate(node, earlier)
                first[place] = node
                value = _convert(node, directive)
            except ConfigError as e:
                self._complain(e, node)
            else:
                values = block._handed if directive.inherit else block._kept
                own = values.setdefault((options, prefix), {})
                if not directive.repeat:
                    own[directive.fieldName] = value
                elif directive.fieldName in own:
                    own[directive.fieldName].append(value)
                else:
                    own[directive.fieldName] = [value]
                    repeated.append((own, directive.fieldName))
            if checked:
                # Even when its first line is wrong: there may be more to tell.
                assert opens is not None
                child = Block(node, opens, block, value)
                self.fill(child)
                inner.append(child)
        for own, fieldName in repeated:
            own[fieldName] = tuple(own[fieldName])
        block.inner = tuple(inner)

    def check(self, block: Block) -> None:
        """
        Make the options that have something to check, wherever their values may
        differ from those of the block around.
        """
        if not block.where & _OUTER:
            keys = [*block._handed, *block._kept]
            if block.parent is not None and block.parent.where & _OUTER:
                keys += block.parent._handed
            for options, prefix in dict.fromkeys(keys):
                if not hasattr(options, "merged"):
                    continue
                try:
                    block.of(options, prefix)
                except ConfigError as e:
                    self._complain(e)
        for child in block.inner:
            self.check(child)

    def _complain(self, error: ConfigError, node: Node | None = None) -> None:
        for problem in error.problems:
            # Better than any other hint: the others take the words for meant.
            hint = "" if node is None else self._missingEnd(node)
            if hint:
                problem = dataclasses.replace(problem, hint=hint)
            # A mistake outside is met again in every block that inherits it.
            if problem not in self._seen:
                self._seen.add(problem)
                self.problems.append(problem)

    def _missingEnd(self, node: Node) -> str:
        """
        A guess: an argument that begins a line and is the name of a directive.
        """
        line = node.line
        for word, (at, _) in zip(node.words, node.places, strict=False):
            if at != line and self._grammar.named(word):
                return f'is a ";" missing at the end of line {line}?'
            line = at
        return ""

    def _unexpected(self, node: Node, where: Where) -> None:
        """
        Complain of a directive that is not known, or not here.
        """
        name = node.name
        others = self._grammar.named(name)
        stream = bool(where & Where.STREAM_ANY)
        module = moduleOf(name, stream=stream)
        # nginx's http and stream have many names in common: what we have for one need
        # not be there for the other.
        elsewhere = [each for each in others if each.where & Where.STREAM_ANY]
        if others and not (
            stream and not elsewhere and module and module.startswith("ngx_stream")
        ):
            places = Where(0)
            for each in others:
                places |= each.where
            hint = "it belongs in: " + ", ".join(places.names)
            message = f'"{name}" directive is not allowed here'
        elif module is not None:
            hint = ""
            message = f'"{name}" directive of nginx\'s {module} is not supported'
        else:
            hint = self._suggest(name, where)
            message = f'unknown directive "{name}"'
        self._complain(node.error(message, hint=hint))

    def _suggest(self, name: str, where: Where) -> str:
        if self._suggestions >= MAX_SUGGESTIONS or len(name) > 60:
            return ""
        self._suggestions += 1
        found = get_close_matches(name, self._grammar.at(where), n=1, cutoff=0.7)
        return f'did you mean "{found[0]}"?' if found else ""


def _shape(node: Node, directive: Directive) -> str:
    """
    What is wrong with the end of a directive: C{;} or a block.
    """
    if node.block is not None and directive.opens is None:
        return f'directive "{node.name}" is not terminated by ";"'
    if node.block is None and directive.opens is not None:
        return f'directive "{node.name}" has no opening "{{"'
    return ""


def _count(node: Node, directive: Directive) -> None:
    least, most = directive.arity
    if least <= len(node.words) and (most is None or len(node.words) <= most):
        return
    if most is None:
        takes = f"at least {least}"
    elif most == 0:
        takes = "no"
    else:
        takes = str(least) if least == most else f"{least} to {most}"
    raise node.error(
        f'invalid number of arguments in "{node.name}" directive',
        hint=f"it takes {takes} argument{'' if takes.endswith('1') else 's'}",
    )


def _duplicate(node: Node, earlier: Node) -> ConfigError:
    where = f"in {earlier.path}:{earlier.line}"
    if earlier.path == COMMAND_LINE:
        where = f"on the {COMMAND_LINE}"
    return node.error(
        f'"{node.name}" directive is duplicate', hint=f"it was given {where}"
    )


def _convert(node: Node, directive: Directive) -> Any:
    """
    Call the converter; its exceptions become nginx's messages.
    """
    words = node.words
    try:
        return directive.convert(node)
    except InvalidValue as e:
        index = words.index(e.word) if e.word in words else None
        raise node.error(e.message(node.name), word=index, hint=e.hint) from None
    except InvalidTemplate as e:
        index = words.index(e.text) if e.text in words else None
        raise node.error(str(e), word=index) from None
    except ValueError as e:
        index = 0 if len(words) == 1 else None
        message = str(e) or "invalid value"
        raise node.error(f'"{node.name}" directive {message}', word=index) from None
