"""
The variables C{$ssl_*}.

nginx: http/modules/ngx_http_ssl_module.c (ngx_http_ssl_vars)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..variables import Getter

#: Their names; what they are is in L{twisted_upstream.tls.describe}, which needs
#: OpenSSL and is imported when the first one is asked for.
NAMES = (
    "ssl_protocol ssl_cipher ssl_ciphers ssl_curve ssl_curves ssl_sigalg"
    " ssl_client_sigalg ssl_sigalgs ssl_session_id ssl_session_reused ssl_early_data"
    " ssl_server_name ssl_alpn_protocol ssl_ech_status ssl_ech_outer_server_name"
    " ssl_client_cert ssl_client_raw_cert ssl_client_escaped_cert ssl_client_s_dn"
    " ssl_client_i_dn ssl_client_s_dn_legacy ssl_client_i_dn_legacy ssl_client_serial"
    " ssl_client_fingerprint ssl_client_verify ssl_client_v_start ssl_client_v_end"
    " ssl_client_v_remain"
).split()


def _variable(name: str, find: Callable[[Any], Any]) -> Getter:
    # What a connection has said does not change: the certificate's parts are kept.
    describe: Callable[[Any], bytes | None] | None = None

    def get(request: Any) -> bytes | None:
        nonlocal describe
        tls = find(request)
        if tls is None:
            return None
        if name in tls.kept:
            value: bytes | None = tls.kept[name]
            return value
        if describe is None:
            from .describe import DESCRIPTIONS

            describe = DESCRIPTIONS[name]
        value = describe(tls)
        if tls.socket is not None:
            tls.kept[name] = value
        return value

    return get


def tlsVariables(find: Callable[[Any], Any]) -> dict[str, Getter]:
    """
    The variables by name; without TLS they have no value.

    @param find: what is known of the TLS of a request or session; C{None}: there is
        none.
    """
    return {name: _variable(name, find) for name in NAMES}
