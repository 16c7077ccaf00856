"""
Answers of our own to errors and redirects: status texts, the built-in pages,
C{error_page}.

What an earlier step decided and the final answer must have is kept on the request:
C{errorStatus} overrides the status of whatever is sent in the end, C{redirectTo} is
its Location.

nginx: ngx_http_special_response_handler(), ngx_http_send_error_page(),
ngx_http_send_special_response(), ngx_http_core_error_page()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, flag, oneOf
from ...config.values import Template, parseNumber, parseTemplate
from ...wire.head import ResponseHead
from ...wire.uri import escapeRefresh

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request

#: What we call ourselves in C{Server} and on built-in pages.
PRODUCT = b"nginx/1.31.5"

#: Statuses whose text is sent; all others are a number and a space.
_TEXTS = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    206: b"Partial Content",
    301: b"Moved Permanently",
    302: b"Moved Temporarily",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Time-out",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Large",
    415: b"Unsupported Media Type",
    416: b"Requested Range Not Satisfiable",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Temporarily Unavailable",
    504: b"Gateway Time-out",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
}
#: Status and reason as they go on the wire: look up, or L{statusText}.
STATUS_TEXTS = {status: b"%d %b" % (status, text) for status, text in _TEXTS.items()}

#: Statuses of our own that the client gets as 400: what the page says then.
_BAD_REQUESTS = {
    494: b"Request Header Or Cookie Too Large",
    495: b"The SSL certificate error",
    496: b"No required SSL certificate was sent",
    497: b"The plain HTTP request was sent to HTTPS port",
}
#: Pages that are headed otherwise than the status line.
_HEADINGS = {
    **{status: text for status, text in STATUS_TEXTS.items() if status != 304},
    302: b"302 Found",
    401: b"401 Authorization Required",
    498: b"404 Not Found",
}
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
#: Errors after which the connection is not trusted to be in step.
_CLOSING = frozenset((400, 413, 414, 495, 496, 497, 500, 501))

_PADDING = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def statusText(status: int) -> bytes:
    """
    Status and reason for the status line: C{b"404 Not Found"}, C{b"299 "}.

    nginx: ngx_http_status_lines
    """
    return STATUS_TEXTS.get(status) or b"%03d " % status


def builtinPage(status: int, signature: bytes) -> bytes:
    """
    The page that nginx sends for C{status}; empty for statuses that have none.

    @param signature: what C{server_tokens} lets us call ourselves.

    nginx: ngx_http_error_pages
    """
    detail = _BAD_REQUESTS.get(status)
    if detail is not None:
        title, heading = b"400 " + detail, b"400 Bad Request"
        more = b"<center>%b</center>\r\n" % detail
    else:
        heading = _HEADINGS.get(status, b"")
        if not heading or status < 300:
            return b""
        title, more = heading, b""
    return (
        b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n"
        b"<center><h1>%b</h1></center>\r\n%b<hr><center>%b</center>\r\n"
        b"</body>\r\n</html>\r\n" % (title, heading, more, signature)
    )


@dataclass(frozen=True, slots=True)
class ErrorPageLine:
    """
    One C{error_page}.

    @ivar statuses: the errors it is for.
    @ivar overwrite: the status to answer with instead; 0: the target's own; C{None}:
        the error's.
    @ivar target: URI, C{@name} or URL.
    """

    statuses: tuple[int, ...]
    overwrite: int | None
    target: Template
    node: Node


def _code(node: Node, word: str, digits: str) -> int:
    try:
        return parseNumber(digits)
    except ValueError:
        raise node.error(f'invalid value "{word}"') from None


def _errorPage(node: Node) -> ErrorPageLine:
    """
    nginx: ngx_http_core_error_page()
    """
    *words, target = node.words
    overwrite: int | None = None
    last = words[-1]
    if last.startswith("="):
        words.pop()
        if not words:
            raise node.error(f'invalid value "{last}"')
        overwrite = _code(node, last, last[1:] or "0")
    statuses = []
    for word in words:
        status = _code(node, word, word)
        if status == 499:
            raise node.error(f'invalid value "{word}"')
        if not 300 <= status <= 599:
            raise node.error(f'value "{word}" must be between 300 and 599')
        statuses.append(status)
    return ErrorPageLine(tuple(statuses), overwrite, parseTemplate(target), node)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorPageOptions:
    """
    How errors are answered.
    """

    errorPages: tuple[ErrorPageLine, ...] = directive(
        "error_page",
        HTTP_ANY | Where.IF,
        _errorPage,
        arity=(2, None),
        default=(),
        repeat=True,
        type="code ... [=[response]] uri",
        doc="Answer these errors by another URI, a named location or a redirect.",
    )
    recursive: bool = directive(
        "recursive_error_pages",
        HTTP_ANY,
        flag,
        default=False,
        doc="May error_page apply again to the answer of an error_page?",
    )
    msiePadding: bool = directive(
        "msie_padding",
        HTTP_ANY,
        flag,
        default=True,
        doc="Pad error pages for browsers that replace short ones by their own.",
    )
    msieRefresh: bool = directive(
        "msie_refresh",
        HTTP_ANY,
        flag,
        default=False,
        doc="Redirect MSIE by a page with a refresh instead of a status.",
    )
    serverTokens: str = directive(
        "server_tokens",
        HTTP_ANY,
        oneOf("on", "off", "build"),
        default="on",
        doc="Tell our version in Server and on built-in pages.",
    )


def signature(block: Block) -> bytes:
    """
    What C{server_tokens} of this place lets us call ourselves: the value of Server.
    """
    tokens = block.of(ErrorPageOptions).serverTokens
    # Nothing was given at compile time that "build" could add.
    return b"nginx" if tokens == "off" else PRODUCT


def ownHead(request: Request, status: int) -> ResponseHead:
    """
    Begin a response of our own: with C{errorStatus} instead of C{status} if an error
    led here, and with the Location that was decided on before.

    nginx: ngx_http_send_header(), and what stays in C{headers_out} over redirects
    """
    head = ResponseHead(request.errorStatus or status)
    head.location = request.redirectTo
    return head


def _browser(userAgent: bytes) -> str:
    """
    C{"msie"}, C{"chrome"} or neither.

    nginx: ngx_http_process_user_agent()
    """
    if b"Opera" in userAgent:
        return ""
    at = userAgent.find(b"MSIE ")
    if at >= 0 and at + 7 < len(userAgent):
        return "msie"
    if b"Gecko/" not in userAgent and b"Chrome/" in userAgent:
        return "chrome"
    return ""


@dataclass(frozen=True, slots=True)
class _Page:
    """
    One error's page: where to go, and with which status.
    """

    overwrite: int | None
    target: Callable[[Any], bytes]


class ErrorPages:
    """
    Answers errors as one location wants it.
    """

    __slots__ = ("_options", "_pages", "_signature")

    def __init__(
        self, options: ErrorPageOptions, pages: dict[int, _Page], signature: bytes
    ) -> None:
        self._options = options
        self._pages = pages
        self._signature = signature

    def answer(self, request: Request, status: int) -> None:
        """
        End the request with C{status}, 201, 204 or 300-599: by an error page of the
        configuration, or by the built-in page.
        """
        request.errorStatus = status
        if status in _CLOSING:
            request.keepalive = False
        if self._pages and not request.errorPage and request.uriChanges:
            if not self._options.recursive:
                request.errorPage = True
            page = self._pages.get(status)
            if page is not None:
                self._goTo(request, page)
                return
        self._builtin(request, status)

    def _goTo(self, request: Request, page: _Page) -> None:
        if page.overwrite is not None:
            request.errorStatus = page.overwrite
        elif request.errorStatus in _BAD_REQUESTS:
            request.errorStatus = 400
        target = page.target(request)
        if target.startswith(b"/"):
            uri, _, args = target.partition(b"?")
            if request.method != b"HEAD":
                request.method = b"GET"
            request.internalRedirect(uri, args)
            return
        if target.startswith(b"@"):
            request.namedLocation(target.decode("utf-8", "surrogateescape"))
            return
        if page.overwrite not in _REDIRECTS:
            request.errorStatus = 302
        request.redirectTo = target
        self._builtin(request, request.errorStatus)

    def _builtin(self, request: Request, status: int) -> None:
        browser = ""
        if self._options.msiePadding or self._options.msieRefresh:
            browser = _browser(request.variable("http_user_agent"))
        if (
            browser == "msie"
            and self._options.msieRefresh
            and (status == 301 or status == 302)
        ):
            self._refresh(request)
            return
        if status in _BAD_REQUESTS:
            request.errorStatus = 400
        body = builtinPage(status, self._signature)
        if (
            body
            and browser
            and self._options.msiePadding
            and status >= 400
            and request.version >= 10
        ):
            body += _PADDING
        head = ownHead(request, status)
        if body:
            head.contentType = b"text/html"
        request.sendResponse(head, body)

    def _refresh(self, request: Request) -> None:
        """
        nginx: ngx_http_send_refresh()
        """
        body = (
            b'<html><head><meta http-equiv="Refresh" content="0; URL=%b">'
            b"</head><body></body></html>\r\n"
            % escapeRefresh(request.redirectTo or b"")
        )
        request.errorStatus = 200
        request.redirectTo = None
        head = ownHead(request, 200)
        head.contentType = b"text/html"
        request.sendResponse(head, body)


def compileErrorPages(block: Block, build: Any) -> Callable[[Request, int], None]:
    """
    Compile how errors are answered in one place.

    @param build: the composition at hand, with C{compile}.
    @return: to be called with the request and a status (L{ErrorPages.answer}); this is
        what C{request.failResponse} does.
    @raise ConfigError: a target holds an unknown variable.
    """
    options = block.of(ErrorPageOptions)
    pages: dict[int, _Page] = {}
    for line in options.errorPages:
        target = build.compile(line.target, line.node)
        for status in line.statuses:
            overwrite = line.overwrite
            if overwrite is None and status in _BAD_REQUESTS:
                overwrite = 400
            # The first line for a status counts.
            pages.setdefault(status, _Page(overwrite, target))
    return ErrorPages(options, pages, signature(block)).answer
