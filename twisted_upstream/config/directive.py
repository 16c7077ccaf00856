"""
What one directive may say: its name, places and arguments, and what they mean.

A directive is declared once, on the field of an options class that it fills::

    @dataclass(frozen=True, kw_only=True, slots=True)
    class KeepaliveOptions:
        keepaliveTimeout: float = directive(
            "keepalive_timeout", Where.UPSTREAM, seconds, default=60.0, doc="..."
        )

Messages of C{-t}, inheritance, the reference and "did you mean" all read this.

nginx: C{ngx_command_t} and the C{ngx_conf_set_*_slot()} functions
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, Generic, TypeVar

from .syntax import Node
from .values import (
    Template,
    parseNumber,
    parseOffset,
    parseSize,
    parseTemplate,
    parseTime,
)

T = TypeVar("T")

#: How few and how many arguments; C{None}: any number.
Arity = tuple[int, "int | None"]

_METADATA = "twisted_upstream.directive"


class Where(Flag):
    """
    The places of a configuration where a directive may stand.
    """

    MAIN = auto()
    EVENTS = auto()
    HTTP = auto()
    SERVER = auto()
    LOCATION = auto()
    #: C{if} in C{location}.
    IF = auto()
    #: C{if} in C{server}.
    SERVER_IF = auto()
    LIMIT_EXCEPT = auto()
    UPSTREAM = auto()
    STREAM = auto()
    STREAM_SERVER = auto()
    STREAM_UPSTREAM = auto()
    #: Not a place: the inside of a block that its own converter reads.
    RAW = auto()

    HTTP_ANY = HTTP | SERVER | LOCATION
    STREAM_ANY = STREAM | STREAM_SERVER | STREAM_UPSTREAM

    @property
    def names(self) -> tuple[str, ...]:
        """
        How nginx's documentation calls these places.
        """
        return tuple(_PLACES[place] for place in self)


HTTP_ANY = Where.HTTP_ANY

_PLACES = {
    Where.MAIN: "main",
    Where.EVENTS: "events",
    Where.HTTP: "http",
    Where.SERVER: "server",
    Where.LOCATION: "location",
    Where.IF: "if in location",
    Where.SERVER_IF: "if in server",
    Where.LIMIT_EXCEPT: "limit_except",
    Where.UPSTREAM: "upstream",
    Where.STREAM: "stream",
    Where.STREAM_SERVER: "server in stream",
    Where.STREAM_UPSTREAM: "upstream in stream",
    Where.RAW: "raw",
}


class InvalidValue(ValueError):
    """
    A converter met a word it does not know.

    With C{extra} the message is C{invalid value "WORD" in "NAME" directive, EXTRA},
    without C{invalid value "WORD"}: nginx has both.

    @ivar word: the word.
    @ivar extra: what it must be; may be empty.
    @ivar hint: for a further line; may be empty.
    """

    def __init__(self, word: str, extra: str, hint: str = "") -> None:
        super().__init__(word, extra)
        self.word = word
        self.extra = extra
        self.hint = hint

    def message(self, name: str) -> str:
        """
        What nginx says when this happens in the directive C{name}.
        """
        text = f'invalid value "{self.word}"'
        return f'{text} in "{name}" directive, {self.extra}' if self.extra else text


class Converter(Generic[T]):
    """
    Makes a value of a directive's arguments.

    Any function of a L{Node} will do.  It raises L{InvalidValue}, C{ValueError} (its
    text comes after C{"NAME" directive}) or what L{Node.error} made.

    @ivar type: what it takes, in a word for the documentation.
    @ivar arity: how many arguments it takes.
    @ivar unit: of the value: C{"seconds"}, C{"bytes"}; may be empty.
    """

    __slots__ = ("_convert", "type", "arity", "unit")

    def __init__(
        self,
        convert: Callable[[Node], T],
        type: str,
        arity: Arity = (1, 1),
        unit: str = "",
    ) -> None:
        self._convert = convert
        self.type = type
        self.arity = arity
        self.unit = unit

    def __call__(self, node: Node) -> T:
        return self._convert(node)

    def __repr__(self) -> str:
        return f"<Converter {self.type}>"


def converter(
    type: str, arity: Arity = (1, 1), unit: str = ""
) -> Callable[[Callable[[Node], T]], Converter[T]]:
    """
    A decorator: the function is a converter, and the documentation calls its
    arguments C{type}.
    """
    return lambda convert: Converter(convert, type, arity, unit)


@converter("on | off")
def flag(node: Node) -> bool:
    """
    C{on} or C{off} in any case.  nginx: C{ngx_conf_set_flag_slot()}
    """
    word = node.words[0]
    if word.isascii():
        lowered = word.lower()
        if lowered == "on":
            return True
        if lowered == "off":
            return False
    raise InvalidValue(word, 'it must be "on" or "off"')


@converter("number")
def number(node: Node) -> int:
    """
    Digits.  nginx: C{ngx_conf_set_num_slot()}
    """
    return parseNumber(node.words[0])


@converter("size", unit="bytes")
def size(node: Node) -> int:
    """
    Bytes, with C{k} or C{m}.  nginx: C{ngx_conf_set_size_slot()}
    """
    return parseSize(node.words[0])


@converter("offset", unit="bytes")
def offset(node: Node) -> int:
    """
    Bytes, with C{k}, C{m} or C{g}.  nginx: C{ngx_conf_set_off_slot()}
    """
    return parseOffset(node.words[0])


@converter("time", unit="seconds")
def seconds(node: Node) -> float:
    """
    Seconds, exact to the millisecond.  nginx: C{ngx_conf_set_msec_slot()}
    """
    return parseTime(node.words[0])


@converter("whole seconds", unit="seconds")
def wholeSeconds(node: Node) -> float:
    """
    Seconds without fractions: C{ms} is refused, C{y} and C{M} are known.

    nginx: C{ngx_conf_set_sec_slot()}
    """
    return parseTime(node.words[0], milliseconds=False)


@converter("number size", (2, 2), unit="bytes")
def countAndSize(node: Node) -> tuple[int, int]:
    """
    Number and size of buffers.  nginx: C{ngx_conf_set_bufs_slot()}
    """
    count, each = node.words
    found = (parseSize(count) if count.isdigit() else 0, parseSize(each))
    if not all(found):
        raise ValueError("invalid value")
    return found


@converter("text")
def text(node: Node) -> str:
    """
    The argument as it is.  nginx: C{ngx_conf_set_str_slot()}
    """
    return node.words[0]


@converter("text ...", (1, None))
def words(node: Node) -> tuple[str, ...]:
    """
    All arguments as they are.
    """
    return node.words


@converter("text with variables")
def template(node: Node) -> Template:
    """
    A text with C{$variables}.  nginx: C{ngx_http_set_complex_value_slot()}
    """
    return parseTemplate(node.words[0])


@converter("text with variables")
def sizeTemplate(node: Node) -> Template:
    """
    Bytes, with C{k} or C{m}, said by a text with C{$variables}; what has none is looked
    at now.  nginx: C{ngx_http_set_complex_value_size_slot()}
    """
    text = parseTemplate(node.words[0])
    if text.constant is not None:
        parseSize(text.text)
    return text


@converter("", (0, 0))
def nothing(node: Node) -> bool:
    """
    No argument: it is enough that the directive is there.
    """
    return True


def oneOf(*choices: str) -> Converter[str]:
    """
    One of some words in any case, as written here.  nginx: C{ngx_conf_set_enum_slot()}
    """
    known = {choice.lower(): choice for choice in choices}

    def convert(node: Node) -> str:
        word = node.words[0]
        found = known.get(word.lower()) if word.isascii() else None
        if found is None:
            hint = "it must be one of: " + ", ".join(choices)
            raise InvalidValue(word, "", hint)
        return found

    return Converter(convert, " | ".join(choices))


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """
    What is said of a directive where its field is.

    @ivar names: the directives that fill the field; C{*} stands for a prefix.
    @ivar where: the places where they may stand.
    @ivar type: what the arguments are, in words.
    @ivar default: the field's value where nothing was said.
    @ivar repeat: may be given several times: the value is a tuple.
    @ivar inherit: what an outer block says counts for inner ones.
    @ivar opens: the place inside its block; C{None}: it has no block.
    @ivar unit: of the value: C{"seconds"}, C{"bytes"}; may be empty.
    @ivar origin: C{"nginx"}, C{"plus"}, C{"tengine"} or C{"ours"}.
    """

    names: tuple[str, ...]
    where: Where
    convert: Callable[[Node], Any]
    arity: Arity
    type: str
    default: Any
    repeat: bool
    inherit: bool
    opens: Where | None
    unit: str
    doc: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive(Declaration):
    """
    One name of a declaration, as a grammar knows it.

    @ivar name: with the prefix filled in.
    @ivar options: the class whose field it fills.
    @ivar fieldName: the field.
    """

    name: str
    options: type[Any]
    fieldName: str
    prefix: str


def directive(
    names: str | tuple[str, ...],
    where: Where,
    convert: Callable[[Node], Any],
    *,
    default: Any,
    arity: Arity | None = None,
    repeat: bool = False,
    inherit: bool = True,
    opens: Where | None = None,
    unit: str = "",
    doc: str,
    type: str = "",
    origin: str = "nginx",
) -> Any:
    """
    Declare a directive: the default of a dataclass's field.

    Any number of names may fill one field; the converter sees which in C{node.name}.
    A block whose inside is checked (C{opens} is a place, not C{Where.RAW}) is never
    inherited: it is found as an inner block.

    @param arity: by default the converter's, or one argument.
    @param type: by default the converter's.
    @param unit: the same.
    """
    checked = opens is not None and opens is not Where.RAW
    own: tuple[Arity, str, str] = ((1, 1), "", "")
    if isinstance(convert, Converter):
        own = (convert.arity, convert.type, convert.unit)
    declaration = Declaration(
        names=(names,) if isinstance(names, str) else names,
        where=where,
        convert=convert,
        arity=own[0] if arity is None else arity,
        type=type or own[1],
        default=default,
        repeat=repeat,
        inherit=inherit and not checked,
        opens=opens,
        unit=unit or own[2],
        doc=doc,
        origin=origin,
    )
    return field(default=default, metadata={_METADATA: declaration})


def relocated(options: type[Any], where: Where) -> type[Any]:
    """
    The same directives in other places.
    """
    fields = []
    for each in dataclasses.fields(options):
        declaration = dataclasses.replace(each.metadata[_METADATA], where=where)
        moved = field(default=each.default, metadata={_METADATA: declaration})
        fields.append((each.name, each.type, moved))
    return dataclasses.make_dataclass(
        f"{options.__name__}Elsewhere", fields, frozen=True, kw_only=True
    )


def bind(options: type[Any], prefix: str) -> list[Directive]:
    """
    The directives of an options class.

    @param prefix: what C{*} in their names stands for.
    """
    bound: list[Directive] = []
    for each in dataclasses.fields(options):
        declaration: Declaration | None = each.metadata.get(_METADATA)
        if declaration is None:
            continue
        said = {
            part.name: getattr(declaration, part.name)
            for part in dataclasses.fields(Declaration)
        }
        bound += [
            Directive(
                name=name.replace("*", prefix),
                options=options,
                fieldName=each.name,
                prefix=prefix,
                **said,
            )
            for name in declaration.names
        ]
    return bound
