"""
Which of nginx's modules we have, told by the directives that are declared.

C{nginx -V} names optional modules that are there with C{--with-…} and ordinary ones
that are missing with C{--without-…}; scripts and nginx's test suite read that.

nginx: auto/options
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..config.directive import Where

if TYPE_CHECKING:
    from ..config.build import Grammar

#: The version whose behaviour is followed.
NGINX_VERSION = "1.31.5"

# Argument of configure without "--with-" -> a directive of that module and its place.
OPTIONAL = {
    "http_ssl_module": ("ssl_certificate", Where.SERVER),
    "http_v2_module": ("http2", Where.SERVER),
    "http_v3_module": ("http3", Where.SERVER),
    "http_realip_module": ("set_real_ip_from", Where.SERVER),
    "http_addition_module": ("add_after_body", Where.LOCATION),
    "http_sub_module": ("sub_filter", Where.LOCATION),
    "http_dav_module": ("dav_methods", Where.LOCATION),
    "http_flv_module": ("flv", Where.LOCATION),
    "http_mp4_module": ("mp4", Where.LOCATION),
    "http_gunzip_module": ("gunzip", Where.LOCATION),
    "http_gzip_static_module": ("gzip_static", Where.LOCATION),
    "http_auth_request_module": ("auth_request", Where.LOCATION),
    "http_random_index_module": ("random_index", Where.LOCATION),
    "http_secure_link_module": ("secure_link", Where.LOCATION),
    "http_slice_module": ("slice", Where.LOCATION),
    "http_stub_status_module": ("stub_status", Where.LOCATION),
    "mail": ("mail", Where.MAIN),
    "stream": ("stream", Where.MAIN),
    "stream_ssl_module": ("ssl_certificate", Where.STREAM_SERVER),
    "stream_realip_module": ("set_real_ip_from", Where.STREAM_SERVER),
    "stream_ssl_preread_module": ("ssl_preread", Where.STREAM_SERVER),
}

# Argument of configure without "--without-" -> the same.
ORDINARY = {
    "http-cache": ("proxy_cache", Where.LOCATION),
    "http_charset_module": ("charset", Where.LOCATION),
    "http_gzip_module": ("gzip", Where.LOCATION),
    "http_ssi_module": ("ssi", Where.LOCATION),
    "http_userid_module": ("userid", Where.LOCATION),
    "http_access_module": ("allow", Where.LOCATION),
    "http_auth_basic_module": ("auth_basic", Where.LOCATION),
    "http_mirror_module": ("mirror", Where.LOCATION),
    "http_autoindex_module": ("autoindex", Where.LOCATION),
    "http_geo_module": ("geo", Where.HTTP),
    "http_map_module": ("map", Where.HTTP),
    "http_split_clients_module": ("split_clients", Where.HTTP),
    "http_referer_module": ("valid_referers", Where.LOCATION),
    "http_rewrite_module": ("rewrite", Where.LOCATION),
    "http_proxy_module": ("proxy_pass", Where.LOCATION),
    "http_fastcgi_module": ("fastcgi_pass", Where.LOCATION),
    "http_uwsgi_module": ("uwsgi_pass", Where.LOCATION),
    "http_scgi_module": ("scgi_pass", Where.LOCATION),
    "http_grpc_module": ("grpc_pass", Where.LOCATION),
    "http_tunnel_module": ("tunnel_pass", Where.LOCATION),
    "http_memcached_module": ("memcached_pass", Where.LOCATION),
    "http_limit_conn_module": ("limit_conn", Where.LOCATION),
    "http_limit_req_module": ("limit_req", Where.LOCATION),
    "http_empty_gif_module": ("empty_gif", Where.LOCATION),
    "http_browser_module": ("modern_browser", Where.LOCATION),
    "http_upstream_hash_module": ("hash", Where.UPSTREAM),
    "http_upstream_ip_hash_module": ("ip_hash", Where.UPSTREAM),
    "http_upstream_least_conn_module": ("least_conn", Where.UPSTREAM),
    "http_upstream_least_time_module": ("least_time", Where.UPSTREAM),
    "http_upstream_random_module": ("random", Where.UPSTREAM),
    "http_upstream_keepalive_module": ("keepalive", Where.UPSTREAM),
    "http_upstream_zone_module": ("zone", Where.UPSTREAM),
    "http_upstream_sticky_module": ("sticky", Where.UPSTREAM),
    "stream_limit_conn_module": ("limit_conn", Where.STREAM_SERVER),
    "stream_access_module": ("allow", Where.STREAM_SERVER),
    "stream_geo_module": ("geo", Where.STREAM),
    "stream_map_module": ("map", Where.STREAM),
    "stream_split_clients_module": ("split_clients", Where.STREAM),
    "stream_return_module": ("return", Where.STREAM_SERVER),
    "stream_pass_module": ("pass", Where.STREAM_SERVER),
    "stream_set_module": ("set", Where.STREAM_SERVER),
    "stream_upstream_hash_module": ("hash", Where.STREAM_UPSTREAM),
    "stream_upstream_least_conn_module": ("least_conn", Where.STREAM_UPSTREAM),
    "stream_upstream_least_time_module": ("least_time", Where.STREAM_UPSTREAM),
    "stream_upstream_random_module": ("random", Where.STREAM_UPSTREAM),
    "stream_upstream_zone_module": ("zone", Where.STREAM_UPSTREAM),
}


def moduleArguments(declares: Callable[[str, Where], bool]) -> list[str]:
    """
    Arguments of C{configure} that would build an nginx with the modules we have.

    @param declares: is a directive known in a place?
    """
    found = [f"--with-{name}" for name, where in OPTIONAL.items() if declares(*where)]
    streams = declares("stream", Where.MAIN)
    for name, where in ORDINARY.items():
        # Without streams at all there is nothing to leave out of them.
        if (streams or not name.startswith("stream")) and not declares(*where):
            found.append(f"--without-{name}")
    return found


def declaredBy(grammar: Grammar) -> Callable[[str, Where], bool]:
    """
    A function that tells whether a directive is known in a place, from the grammar
    and from the balancers among the plugins.
    """
    # Plugins are many modules: -v can do without.
    from ..interfaces import IBalancer
    from ..plugins import find

    places: dict[str, Where] = {}
    for each in grammar.directives():
        places[each.name] = places.get(each.name, Where(0)) | each.where
    for name in find(IBalancer):
        places[name] = places.get(name, Where(0)) | Where.UPSTREAM

    def declares(name: str, where: Where) -> bool:
        return bool(places.get(name, Where(0)) & where)

    return declares


def packageVersion() -> str:
    """
    The version of this package as installed.
    """
    # It costs some milliseconds, and only -v and -V want it.
    from importlib import metadata

    try:
        return metadata.version("twisted_upstream")
    except metadata.PackageNotFoundError:
        return "not installed"


def configureArguments(grammar: Grammar) -> Sequence[str]:
    """
    What C{-V} prints below the version, line by line.
    """
    declares = declaredBy(grammar)
    lines = [f"built by {platform.python_implementation()} {platform.python_version()}"]
    if declares("ssl_certificate", Where.SERVER):
        # Heavy, and needless as long as there is no TLS.
        from OpenSSL import SSL

        version = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii")
        lines += [f"built with {version}", "TLS SNI support enabled"]
    arguments = moduleArguments(declares)
    return [*lines, "configure arguments: " + " ".join(arguments)]
