"""
The sum of all directives: every options class there is, and those of plugins.

nginx: C{auto/modules}, C{ngx_modules.c}
"""

from __future__ import annotations

from typing import Any

from .. import plugins
from ..config.build import Grammar
from ..http.listen import ServerOptions
from ..http.options import (
    BlockOptions,
    ConnectionOptions,
    LocationOptions,
)
from ..http.phases.access import AccessOptions
from ..http.phases.error_page import ErrorPageOptions
from ..http.phases.gunzip import GunzipOptions
from ..http.phases.gzip import GzipOptions
from ..http.phases.gzip_accept import GzipAcceptOptions
from ..http.phases.headers import HeaderOptions
from ..http.phases.limits import LimitStatusOptions
from ..http.phases.paths import PathOptions
from ..http.phases.realip import RealipOptions
from ..http.phases.rewrite import RewriteOptions
from ..http.phases.select import SelectOptions
from ..http.phases.session_sticky import SessionStickyOptions
from ..http.phases.ssi import SSIOptions
from ..http.phases.static import StaticOptions
from ..http.phases.try_files import TryFilesOptions
from ..interfaces import IDialect
from ..limits.connections import ConnectionLimitOptions
from ..limits.requests import RequestLimitOptions
from ..logs.access_log import AccessLogOptions
from ..logs.error_log import ErrorLogOptions
from ..maps import define
from ..stream.access import StreamAccessOptions
from ..stream.content import StreamContentOptions
from ..stream.listen import StreamServerOptions
from ..stream.options import StreamBlockOptions, StreamOptions
from ..stream.proxy import StreamProxyOptions
from ..stream.realip import StreamRealipOptions
from ..stream.tls_options import (
    StreamProxyTLSOptions,
    StreamTLSOptions,
    StreamUpstreamTLSOptions,
)
from ..tls.options import HTTPTLSOptions, TLSFileOptions, TLSOptions
from ..upstream.balancing import balancerOptions
from ..upstream.group_options import (
    GroupOptions,
    StreamGroupOptions,
    UpstreamOptions,
)
from ..upstream.options import passOptionsOf
from ..upstream.resolver_options import ResolverOptions
from .accepted import AcceptedOptions
from .options import EventsOptions, MainOptions

_OPTIONS = (
    MainOptions,
    EventsOptions,
    AcceptedOptions,
    ErrorLogOptions,
    BlockOptions,
    ConnectionOptions,
    LocationOptions,
    ResolverOptions,
    ServerOptions,
    AccessLogOptions,
    AccessOptions,
    ErrorPageOptions,
    HeaderOptions,
    PathOptions,
    RealipOptions,
    RewriteOptions,
    SelectOptions,
    SessionStickyOptions,
    StaticOptions,
    GunzipOptions,
    GzipOptions,
    GzipAcceptOptions,
    SSIOptions,
    TryFilesOptions,
    *define.OPTIONS,
    TLSOptions,
    TLSFileOptions,
    HTTPTLSOptions,
    ConnectionLimitOptions,
    RequestLimitOptions,
    LimitStatusOptions,
    GroupOptions,
    UpstreamOptions,
    StreamAccessOptions,
    StreamBlockOptions,
    StreamContentOptions,
    StreamGroupOptions,
    StreamOptions,
    StreamProxyOptions,
    StreamRealipOptions,
    StreamServerOptions,
    StreamTLSOptions,
    StreamProxyTLSOptions,
)


def makeGrammar() -> Grammar:
    """
    Every directive there is, those of installed plugins included.
    """
    grammar = Grammar()
    for options in _OPTIONS:
        grammar.add(options)
    grammar.add(balancerOptions())
    grammar.add(StreamUpstreamTLSOptions, "proxy")
    dialects = plugins.find(IDialect)
    for name in dialects:
        grammar.add(passOptionsOf(dialects, name), name)
        try:
            dialect: Any = dialects[name]
        except plugins.PluginError:
            # It is complained of where it is used.
            continue
        for more in (dialect.options, *getattr(dialect, "moreOptions", ())):
            if more is not None:
                grammar.add(more, name)
    return grammar
