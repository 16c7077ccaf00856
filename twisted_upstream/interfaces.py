"""
Every interface of the package, in order of lifetime: the process, one configuration,
one connection, one request.  No code.

nginx's best idea is to sort hooks by how long what they return lives; each interface
here says which lifetime it belongs to, and what is bound once is never looked up again
on the data path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from .balance.peer import Peer
    from .balance.peers import Peers
    from .config.build import Block
    from .config.syntax import ConfigError
    from .wire.head import ResponseHead


# ---- lifetime: one configuration.  Logs. -----------------------------------------


class ILogTarget(Interface):
    """
    Where finished lines of an error log go.
    """

    def write(line: bytes, level: int) -> None:
        """
        Write one line, with its line feed.  Never raises.

        @param level: 1 is the most severe; see
            L{twisted_upstream.logs.error_log.LEVELS}.
        """


# ---- lifetime: the process.  Twisted plugins. --------------------------------


class IBalancer(Interface):
    """
    A method of choosing a server, or a layer around one.  A Twisted plugin.

    With an attribute C{stream} that is true, it may stand in C{stream}, too.

    It may have C{refuses}, a frozen set with the names of further parameters that
    C{server} lines after this directive must not have.
    """

    directive: str = Attribute("The directive's name in C{upstream{}}: C{least_conn}.")
    layer: int = Attribute(
        "0 chooses; 1 remembers (sticky, persist); 2 waits (queue).  Layers are nested"
        " by this number, whatever their order in the file."
    )
    backup: bool = Attribute("May C{server} lines after this directive be C{backup}?")

    def peerInit(line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group; called once per configuration.

        @param line: the directive as written.
        @param inner: what this layer wraps; C{None} for layer 0.
        @raise ConfigError: made by C{line.error}: the arguments are wrong.
        """


class IBalancerLine(Interface):
    """
    A balancer's directive as written in C{upstream{}}.
    """

    arguments: Sequence[str] = Attribute("The words after the directive's name.")
    place: str = Attribute("Where the group is: C{http} or C{stream}.")
    clock: IReactorTime = Attribute("For balancers that wait, or forget.")
    wallClock: Callable[[], float] = Attribute("Seconds since 1970.")
    beside: frozenset[str] = Attribute(
        "The directives of all balancers of the group, this one included."
    )

    def compile(text: str) -> Callable[[IClient], bytes]:
        """
        Compile a text with C{$variables}, evaluated per request.

        @raise ConfigError: a variable is unknown.
        """

    def variable(name: str) -> Callable[[IClient], bytes]:
        """
        Compile the one variable C{$name}, whatever is in its name; empty where it has
        no value.
        """

    def keep(name: str, size: int, kept: IKept) -> None:
        """
        Hand C{kept} from one configuration to the next, as a zone of shared memory is:
        by its name, if the size is still the same.

        @param size: bytes, as configured.
        @raise ConfigError: the name is taken.
        """

    def error(message: str) -> ConfigError:
        """
        An error that names this line's file and line; the caller raises it.
        """


class IDialect(Interface):
    """
    A protocol that a client's request can be passed in.  A Twisted plugin.
    """

    name: str = Attribute(
        "C{memcached} gives C{memcached_pass} and every C{memcached_*} of"
        " L{PassOptions<twisted_upstream.upstream.options.PassOptions>}."
    )
    options: type | None = Attribute("Class of its own further options, or C{None}.")
    passOptions: type | None = Attribute(
        "A subclass of"
        " L{PassOptions<twisted_upstream.upstream.options.PassOptions>} that leaves"
        " out what it does not have; C{None}: it has everything."
    )
    methods: frozenset[bytes] | None = Attribute(
        "The methods that it has a meaning for: requests with others are answered with"
        " 405, and no body is passed on.  C{None}: all."
    )

    def authority(text: bytes) -> tuple[bytes, int]:
        """
        Where a constant C{*_pass} sends requests.

        @return: C{host[:port]}, or the name of a group; and the default port, 0: none.
        @raise ValueError: C{text} makes no sense; the message goes into the error.
        """

    def exchangeFactory(block: Block, build: Any) -> Callable[[IClient], IExchange]:
        """
        Bind the protocol to one location; called once per configuration.

        @param block: the location: C{block.of(Options, name)} gives its options.
        @param build: the composition at hand, with C{compile(template, node)}.
        @return: called once per request.
        """

    def account(block: Block) -> Hashable:
        """
        Who connections of a location are logged in as, where the protocol has such.

        @return: locations of equal accounts share idle connections.
        """


# ---- lifetime: one configuration --------------------------------


class IPeerInit(Interface):
    """
    A group's balancer.  nginx: C{ngx_http_upstream_peer_t {init_upstream, init}}.
    """

    def initUpstream(peers: Peers) -> None:
        """
        Take a generation of peers: at the start and whenever membership changes.  A
        layer hands it to what it wraps.
        """

    def initPeer(client: IClient) -> IPeerGetter:
        """
        Begin one request or session.  nginx: C{peer.init}.
        """


class IKept(Interface):
    """
    What a balancer remembers over a reload.
    """

    def adopt(previous: Any) -> None:
        """
        Go on with what C{previous}, of the same kind and name, remembers.  Called once,
        before the first request; C{previous} serves on until its requests have ended.
        """

    def close() -> None:
        """
        No request will come any more: forget, and stop all timers.
        """


class IDialWaiter(Interface):
    """
    Who waits for a connection.  Told once.
    """

    def connectionReady(connection: Any) -> None:
        """
        C{connection}, an L{IPeerConnection}, is open; it may be written to at once.
        """

    def connectionFailed(reason: Exception) -> None:
        """
        There is no connection.  C{reason} says why, fit for the error log.
        """


# ---- lifetime: one connection --------------------------------


class IPeerConnection(Interface):
    """
    A connection to a server: of its own, or one stream of a shared one.
    """

    dataReceived: Callable[[bytes], None] = Attribute("Takes the next bytes.")
    ended: Callable[[BaseException | None], None] = Attribute(
        "Told once that no more bytes come: C{None} for a clean end, else the error."
    )
    requests: int = Attribute("Requests begun on it, this one included.")

    def write(data: bytes) -> None:
        """
        Send C{data} now, or as soon as the other side takes it.
        """

    def close() -> None:
        """
        Close it; C{ended} is not told.
        """


# ---- lifetime: one request --------------------------------


class IClient(Interface):
    """
    What balancers, dialects, variables and logs may know of who asks.
    """

    address: bytes = Attribute(
        "The client's address in network order: 4 bytes, 16 bytes, or none for unix."
    )
    notes: dict[Any, Any] = Attribute(
        "What features remember of this request, each by a key of its own."
    )

    def variable(name: str) -> bytes:
        """
        The value of C{$name} for this request; empty when it has none.
        """


class IHTTPClient(IClient):
    """
    What balancers may ask of a client that speaks HTTP.
    """

    def addEdit(edit: Callable[[ResponseHead], None]) -> None:
        """
        Let C{edit} change the head of the response to this request, whoever makes it
        and when, before the location adds fields of its own.  Edits are called in
        reverse order: of two fields put first, that of the first edit is first.
        """


class IReply(Interface):
    """
    Where a response goes.
    """

    def sendHead(head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        Begin the response; C{body} is what is already there of its body: all of it if
        C{complete}, and L{endResponse} is not called then.  One write.
        """

    def sendBody(data: bytes) -> None:
        """
        More of the body.
        """

    def endResponse() -> None:
        """
        The body is complete.
        """

    def cutResponse() -> None:
        """
        The body will not be completed: end so that the client can tell.
        """

    def failResponse(status: int) -> None:
        """
        Nothing was sent yet and nothing will come: answer with an error of our own.
        """


class IPeerGetter(Interface):
    """
    Chooses peers for one request.  nginx: C{get}, C{free}, C{notify}.
    """

    tries: int = Attribute("How many attempts are left.")
    hint: bytes | Peer | None = Attribute(
        "The peer that the request asks for or its C{sid}, or C{None}; a layer that"
        " remembers sets it.  Who cannot obey ignores it."
    )
    tried: set[Peer] | None = Attribute(
        "Peers of earlier attempts, if any: they are not chosen again.  A layer that"
        " begins a request anew sets it.  Who cannot obey ignores it."
    )

    def getPeer() -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer for the next attempt.

        @return: C{None} when none is available; a Deferred only from layers that wait.
        """

    def freePeer(peer: Peer, outcome: int) -> None:
        """
        The attempt is over.  Exactly once per successful L{getPeer}.

        @param outcome: C{Outcome} of L{twisted_upstream.balance.peer}: fine, next
            (another server was asked, but not for a failure), or failed.
        """

    def limitTries(limit: int) -> None:
        """
        Allow C{limit} attempts at most, as C{*_next_upstream_tries} says.  Once, before
        the first attempt.
        """

    def forgiveTry() -> None:
        """
        The attempt just freed has not counted: it failed on a connection that had been
        idle, which a server may close at any time.
        """

    def notifyPeer(peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The attempt has come so far: C{"header"}, C{"connect"}, C{"first_byte"}.

        @param elapsed: seconds since the attempt began.
        """


class IExchange(Interface):
    """
    One client request in one protocol: the callbacks of nginx's upstream framework.

    The stems of the names are nginx's.  Two shapes differ: I{init returns the filter},
    and I{absent rewriting is} C{None}.
    """

    reusable: bool = Attribute(
        "Once the response is complete: may the connection serve another request?"
    )
    rewriteRedirect: Callable[[bytes], bytes | None] | None = Attribute(
        "C{rewrite_redirect}: new value of a Location or Refresh field, or C{None} to"
        " leave it; C{None} instead of a callable when nothing is ever rewritten."
    )
    rewriteCookie: Callable[[bytes], bytes | None] | None = Attribute(
        "C{rewrite_cookie}: the same for each Set-Cookie."
    )
    takesBody: bool = Attribute(
        "Does the client's body follow what C{createRequest} made?"
    )
    mayStream: bool = Attribute(
        "Can this request's body be sent as it comes (C{*_request_buffering off})?"
    )
    bodyFilter: Callable[[bytes, bool], bytes] | None = Attribute(
        "Frames a body that is sent as it comes: takes the next bytes, and whether they"
        " are the last.  C{None}: sent as they are."
    )
    scheme: bytes = Attribute("What the error log says before the peer: C{http://}.")
    uri: bytes = Attribute("What the error log says after the peer.")
    headOffset: int = Attribute(
        "Set by C{processHeader}: so many bytes at the beginning of what it got do not"
        " belong to the head, and are left out the next time."
    )
    excessMessage: str = Attribute(
        "What the error log says when more came than the response."
    )
    excessLevel: str = Attribute("The level of that line: C{warn} or C{error}.")

    def authority(text: bytes) -> tuple[bytes, int] | None:
        """
        Where to send this request, for locations whose C{*_pass} has variables.

        @param text: what C{*_pass} says for this request.
        @return: C{host[:port]} and the default port; C{None}: the text makes no sense,
            which was logged.
        """

    def createRequest() -> bytes | None:
        """
        C{create_request}: the request's head, and its body where that is in memory.
        Called once, before the first attempt.

        @return: C{None}: there is nothing that could be asked, which was logged; the
            client is told 500.
        """

    def reinitRequest() -> None:
        """
        C{reinit_request}: forget what was parsed.  Called before each later attempt.
        """

    def processHeader(data: bytes) -> ResponseHead | None:
        """
        C{process_header}: parse the response's head out of all bytes received so far.

        @return: C{None} when more bytes are needed.
        @raise InvalidHead: the response breaks the protocol: the next server is tried.
        """

    def endHeader(data: bytes) -> ResponseHead | None:
        """
        The connection has ended within the head: is that a response, too?
        """

    def inputFilterInit(head: ResponseHead) -> IInputFilter:
        """
        C{input_filter_init}: the decoder of this response's body.
        """

    def abortRequest() -> None:
        """
        C{abort_request}: the client went away.
        """

    def finalizeRequest(status: int) -> None:
        """
        C{finalize_request}: called once, always last.

        @param status: 0 when the response was passed whole, else the status of the
            failure.
        """


class IInputFilter(Interface):
    """
    Decodes one body.
    """

    remaining: int | None = Attribute(
        "0: complete.  C{None}: until the connection ends.  Else: at least this much"
        " is missing."
    )
    excess: bytes = Attribute("What was received after the end.")

    def inputFilter(data: bytes) -> bytes:
        """
        C{input_filter}: take the next bytes received, return bytes of the body.

        @raise InvalidBody: the body breaks the protocol.
        """
