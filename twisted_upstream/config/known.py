"""
The directives of stock nginx 1.31 by module, for those that are not here yet.

An operator who moves a configuration over reads "not supported" and the module's name
instead of "unknown directive".

nginx: the C{ngx_command_t} tables; without mail, whose block is refused as a whole,
and without what is for Windows only
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .directive import Where

if TYPE_CHECKING:
    from .build import Grammar

MODULES: dict[str, str] = {
    "ngx_core_module": (
        "daemon master_process timer_resolution pid lock_file worker_processes "
        "debug_points user worker_priority worker_cpu_affinity worker_rlimit_nofile "
        "worker_rlimit_core worker_shutdown_timeout working_directory env load_module"
    ),
    "ngx_conf_module": "include",
    "ngx_errlog_module": "error_log",
    "ngx_regex_module": "pcre_jit",
    "ngx_thread_pool_module": "thread_pool",
    "ngx_devpoll_module": "devpoll_changes devpoll_events",
    "ngx_epoll_module": "epoll_events worker_aio_requests",
    "ngx_eventport_module": "eventport_events",
    "ngx_kqueue_module": "kqueue_changes kqueue_events",
    "ngx_events_module": "events",
    "ngx_event_core_module": (
        "worker_connections use multi_accept accept_mutex accept_mutex_delay "
        "debug_connection"
    ),
    "ngx_openssl_module": "ssl_engine",
    "ngx_openssl_cache_module": "ssl_object_cache_inheritable",
    "ngx_quic_bpf_module": "quic_bpf",
    "ngx_http_access_module": "allow deny",
    "ngx_http_addition_filter_module": "add_before_body add_after_body addition_types",
    "ngx_http_auth_basic_module": "auth_basic auth_basic_user_file",
    "ngx_http_auth_request_module": "auth_request auth_request_set",
    "ngx_http_autoindex_module": (
        "autoindex autoindex_format autoindex_localtime autoindex_exact_size"
    ),
    "ngx_http_browser_module": (
        "modern_browser ancient_browser modern_browser_value ancient_browser_value"
    ),
    "ngx_http_charset_filter_module": (
        "charset source_charset override_charset charset_types charset_map"
    ),
    "ngx_http_dav_module": (
        "dav_methods create_full_put_path min_delete_depth dav_access"
    ),
    "ngx_http_degradation_module": "degradation degrade",
    "ngx_http_empty_gif_module": "empty_gif",
    "ngx_http_fastcgi_module": (
        "fastcgi_pass fastcgi_index fastcgi_split_path_info fastcgi_store "
        "fastcgi_store_access fastcgi_buffering fastcgi_request_buffering "
        "fastcgi_ignore_client_abort fastcgi_bind fastcgi_socket_keepalive "
        "fastcgi_socket_rcvbuf fastcgi_socket_sndbuf fastcgi_connect_timeout "
        "fastcgi_send_timeout fastcgi_send_lowat fastcgi_buffer_size "
        "fastcgi_pass_request_headers fastcgi_pass_request_body "
        "fastcgi_intercept_errors fastcgi_read_timeout fastcgi_buffers "
        "fastcgi_busy_buffers_size fastcgi_force_ranges fastcgi_limit_rate "
        "fastcgi_cache fastcgi_cache_key fastcgi_cache_path fastcgi_cache_bypass "
        "fastcgi_no_cache fastcgi_cache_valid fastcgi_cache_min_uses "
        "fastcgi_cache_max_range_offset fastcgi_cache_use_stale fastcgi_cache_methods "
        "fastcgi_cache_lock fastcgi_cache_lock_timeout fastcgi_cache_lock_age "
        "fastcgi_cache_revalidate fastcgi_cache_background_update fastcgi_temp_path "
        "fastcgi_max_temp_file_size fastcgi_temp_file_write_size "
        "fastcgi_next_upstream fastcgi_next_upstream_tries "
        "fastcgi_next_upstream_timeout fastcgi_param fastcgi_pass_header "
        "fastcgi_hide_header fastcgi_ignore_headers fastcgi_catch_stderr "
        "fastcgi_keep_conn"
    ),
    "ngx_http_flv_module": "flv",
    "ngx_http_geo_module": "geo",
    "ngx_http_geoip_module": (
        "geoip_country geoip_org geoip_city geoip_proxy geoip_proxy_recursive"
    ),
    "ngx_http_grpc_module": (
        "grpc_pass grpc_bind grpc_socket_keepalive grpc_socket_rcvbuf "
        "grpc_socket_sndbuf grpc_connect_timeout grpc_send_timeout "
        "grpc_intercept_errors grpc_buffer_size grpc_read_timeout grpc_next_upstream "
        "grpc_next_upstream_tries grpc_next_upstream_timeout grpc_set_header "
        "grpc_pass_header grpc_hide_header grpc_ignore_headers grpc_ssl_session_reuse "
        "grpc_ssl_protocols grpc_ssl_ciphers grpc_ssl_name grpc_ssl_server_name "
        "grpc_ssl_verify grpc_ssl_verify_depth grpc_ssl_trusted_certificate "
        "grpc_ssl_crl grpc_ssl_certificate grpc_ssl_certificate_key "
        "grpc_ssl_certificate_cache grpc_ssl_password_file grpc_ssl_conf_command"
    ),
    "ngx_http_gunzip_filter_module": "gunzip gunzip_buffers",
    "ngx_http_gzip_filter_module": (
        "gzip gzip_buffers gzip_types gzip_comp_level gzip_window gzip_hash "
        "postpone_gzipping gzip_no_buffer gzip_min_length"
    ),
    "ngx_http_gzip_static_module": "gzip_static",
    "ngx_http_headers_filter_module": (
        "expires add_header add_trailer add_header_inherit add_trailer_inherit"
    ),
    "ngx_http_image_filter_module": (
        "image_filter image_filter_jpeg_quality image_filter_webp_quality "
        "image_filter_sharpen image_filter_transparency image_filter_interlace "
        "image_filter_buffer"
    ),
    "ngx_http_index_module": "index",
    "ngx_http_limit_conn_module": (
        "limit_conn_zone limit_conn limit_conn_log_level limit_conn_status "
        "limit_conn_dry_run"
    ),
    "ngx_http_limit_req_module": (
        "limit_req_zone limit_req limit_req_log_level limit_req_status "
        "limit_req_dry_run"
    ),
    "ngx_http_log_module": "log_format access_log open_log_file_cache",
    "ngx_http_map_module": "map map_hash_max_size map_hash_bucket_size",
    "ngx_http_memcached_module": (
        "memcached_pass memcached_bind memcached_socket_keepalive "
        "memcached_connect_timeout memcached_send_timeout memcached_buffer_size "
        "memcached_read_timeout memcached_next_upstream memcached_next_upstream_tries "
        "memcached_next_upstream_timeout memcached_gzip_flag"
    ),
    "ngx_http_mirror_module": "mirror mirror_request_body",
    "ngx_http_mp4_module": (
        "mp4 mp4_buffer_size mp4_max_buffer_size mp4_start_key_frame"
    ),
    "ngx_http_proxy_module": (
        "proxy_pass proxy_redirect proxy_cookie_domain proxy_cookie_path "
        "proxy_cookie_flags proxy_store proxy_store_access proxy_buffering "
        "proxy_request_buffering proxy_ignore_client_abort proxy_bind "
        "proxy_socket_keepalive proxy_socket_rcvbuf proxy_socket_sndbuf "
        "proxy_connect_timeout proxy_send_timeout proxy_send_lowat "
        "proxy_intercept_errors proxy_set_header proxy_headers_hash_max_size "
        "proxy_headers_hash_bucket_size proxy_set_body proxy_method "
        "proxy_pass_request_headers proxy_pass_request_body proxy_pass_trailers "
        "proxy_buffer_size proxy_read_timeout proxy_buffers proxy_busy_buffers_size "
        "proxy_force_ranges proxy_limit_rate proxy_cache proxy_cache_key "
        "proxy_cache_path proxy_cache_bypass proxy_no_cache proxy_cache_valid "
        "proxy_cache_min_uses proxy_cache_max_range_offset proxy_cache_use_stale "
        "proxy_cache_methods proxy_cache_lock proxy_cache_lock_timeout "
        "proxy_cache_lock_age proxy_cache_revalidate proxy_cache_convert_head "
        "proxy_cache_background_update proxy_temp_path proxy_max_temp_file_size "
        "proxy_temp_file_write_size proxy_next_upstream proxy_next_upstream_tries "
        "proxy_next_upstream_timeout proxy_pass_header proxy_hide_header "
        "proxy_ignore_headers proxy_http_version proxy_ssl_session_reuse "
        "proxy_ssl_protocols proxy_ssl_ciphers proxy_ssl_name proxy_ssl_server_name "
        "proxy_ssl_verify proxy_ssl_verify_depth proxy_ssl_trusted_certificate "
        "proxy_ssl_crl proxy_ssl_certificate proxy_ssl_certificate_key "
        "proxy_ssl_certificate_cache proxy_ssl_password_file proxy_ssl_conf_command"
    ),
    "ngx_http_random_index_module": "random_index",
    "ngx_http_realip_module": "set_real_ip_from real_ip_header real_ip_recursive",
    "ngx_http_referer_module": (
        "valid_referers referer_hash_max_size referer_hash_bucket_size"
    ),
    "ngx_http_rewrite_module": (
        "rewrite return break if set rewrite_log uninitialized_variable_warn"
    ),
    "ngx_http_scgi_module": (
        "scgi_pass scgi_store scgi_store_access scgi_buffering scgi_request_buffering "
        "scgi_ignore_client_abort scgi_bind scgi_socket_keepalive scgi_socket_rcvbuf "
        "scgi_socket_sndbuf scgi_connect_timeout scgi_send_timeout scgi_buffer_size "
        "scgi_pass_request_headers scgi_pass_request_body scgi_intercept_errors "
        "scgi_read_timeout scgi_buffers scgi_busy_buffers_size scgi_force_ranges "
        "scgi_limit_rate scgi_cache scgi_cache_key scgi_cache_path scgi_cache_bypass "
        "scgi_no_cache scgi_cache_valid scgi_cache_min_uses "
        "scgi_cache_max_range_offset scgi_cache_use_stale scgi_cache_methods "
        "scgi_cache_lock scgi_cache_lock_timeout scgi_cache_lock_age "
        "scgi_cache_revalidate scgi_cache_background_update scgi_temp_path "
        "scgi_max_temp_file_size scgi_temp_file_write_size scgi_next_upstream "
        "scgi_next_upstream_tries scgi_next_upstream_timeout scgi_param "
        "scgi_pass_header scgi_hide_header scgi_ignore_headers"
    ),
    "ngx_http_secure_link_module": "secure_link secure_link_md5 secure_link_secret",
    "ngx_http_slice_filter_module": "slice",
    "ngx_http_split_clients_module": "split_clients",
    "ngx_http_ssi_filter_module": (
        "ssi ssi_silent_errors ssi_ignore_recycled_buffers ssi_min_file_chunk "
        "ssi_value_length ssi_types ssi_last_modified"
    ),
    "ngx_http_ssl_module": (
        "ssl_certificate ssl_certificate_key ssl_certificate_cache ssl_ech_file "
        "ssl_password_file ssl_certificate_compression ssl_dhparam ssl_ecdh_curve "
        "ssl_protocols ssl_ciphers ssl_buffer_size ssl_verify_client ssl_verify_depth "
        "ssl_client_certificate ssl_trusted_certificate ssl_prefer_server_ciphers "
        "ssl_session_cache ssl_session_tickets ssl_session_ticket_key "
        "ssl_session_timeout ssl_crl ssl_ocsp ssl_ocsp_responder ssl_ocsp_cache "
        "ssl_stapling ssl_stapling_file ssl_stapling_responder ssl_stapling_verify "
        "ssl_early_data ssl_conf_command ssl_reject_handshake"
    ),
    "ngx_http_stub_status_module": "stub_status",
    "ngx_http_sub_filter_module": (
        "sub_filter sub_filter_types sub_filter_once sub_filter_last_modified"
    ),
    "ngx_http_try_files_module": "try_files",
    "ngx_http_tunnel_module": (
        "tunnel_pass tunnel_bind tunnel_socket_keepalive tunnel_socket_rcvbuf "
        "tunnel_socket_sndbuf tunnel_connect_timeout tunnel_send_timeout "
        "tunnel_send_lowat tunnel_buffer_size tunnel_read_timeout "
        "tunnel_next_upstream tunnel_next_upstream_tries tunnel_next_upstream_timeout"
    ),
    "ngx_http_upstream_hash_module": "hash",
    "ngx_http_upstream_ip_hash_module": "ip_hash",
    "ngx_http_upstream_keepalive_module": (
        "keepalive keepalive_time keepalive_timeout keepalive_requests"
    ),
    "ngx_http_upstream_least_conn_module": "least_conn",
    "ngx_http_upstream_least_time_module": "least_time",
    "ngx_http_upstream_random_module": "random",
    "ngx_http_upstream_sticky_module": "sticky",
    "ngx_http_upstream_zone_module": "zone",
    "ngx_http_userid_filter_module": (
        "userid userid_service userid_name userid_domain userid_path userid_expires "
        "userid_flags userid_p3p userid_mark"
    ),
    "ngx_http_uwsgi_module": (
        "uwsgi_pass uwsgi_modifier1 uwsgi_modifier2 uwsgi_store uwsgi_store_access "
        "uwsgi_buffering uwsgi_request_buffering uwsgi_ignore_client_abort uwsgi_bind "
        "uwsgi_socket_keepalive uwsgi_socket_rcvbuf uwsgi_socket_sndbuf "
        "uwsgi_connect_timeout uwsgi_send_timeout uwsgi_buffer_size "
        "uwsgi_pass_request_headers uwsgi_pass_request_body uwsgi_intercept_errors "
        "uwsgi_read_timeout uwsgi_buffers uwsgi_busy_buffers_size uwsgi_force_ranges "
        "uwsgi_limit_rate uwsgi_cache uwsgi_cache_key uwsgi_cache_path "
        "uwsgi_cache_bypass uwsgi_no_cache uwsgi_cache_valid uwsgi_cache_min_uses "
        "uwsgi_cache_max_range_offset uwsgi_cache_use_stale uwsgi_cache_methods "
        "uwsgi_cache_lock uwsgi_cache_lock_timeout uwsgi_cache_lock_age "
        "uwsgi_cache_revalidate uwsgi_cache_background_update uwsgi_temp_path "
        "uwsgi_max_temp_file_size uwsgi_temp_file_write_size uwsgi_next_upstream "
        "uwsgi_next_upstream_tries uwsgi_next_upstream_timeout uwsgi_param "
        "uwsgi_string uwsgi_pass_header uwsgi_hide_header uwsgi_ignore_headers "
        "uwsgi_ssl_session_reuse uwsgi_ssl_protocols uwsgi_ssl_ciphers uwsgi_ssl_name "
        "uwsgi_ssl_server_name uwsgi_ssl_verify uwsgi_ssl_verify_depth "
        "uwsgi_ssl_trusted_certificate uwsgi_ssl_crl uwsgi_ssl_certificate "
        "uwsgi_ssl_certificate_key uwsgi_ssl_certificate_cache "
        "uwsgi_ssl_password_file uwsgi_ssl_conf_command"
    ),
    "ngx_http_xslt_filter_module": (
        "xml_entities xml_external_entities xslt_stylesheet xslt_param "
        "xslt_string_param xslt_types xslt_last_modified"
    ),
    "ngx_http_perl_module": "perl_modules perl_require perl perl_set",
    "ngx_http_module": "http",
    "ngx_http_copy_filter_module": "output_buffers",
    "ngx_http_core_module": (
        "variables_hash_max_size variables_hash_bucket_size "
        "server_names_hash_max_size server_names_hash_bucket_size server "
        "connection_pool_size request_pool_size client_header_timeout "
        "client_header_buffer_size large_client_header_buffers max_headers "
        "ignore_invalid_headers merge_slashes underscores_in_headers location listen "
        "server_name types_hash_max_size types_hash_bucket_size types default_type "
        "root alias limit_except client_max_body_size client_body_buffer_size "
        "client_body_timeout client_body_temp_path client_body_in_file_only "
        "client_body_in_single_buffer client_body_early_read sendfile "
        "sendfile_max_chunk subrequest_output_buffer_size aio aio_write read_ahead "
        "directio directio_alignment tcp_nopush tcp_nodelay send_timeout send_lowat "
        "postpone_output limit_rate limit_rate_after keepalive_time keepalive_timeout "
        "keepalive_min_timeout keepalive_requests keepalive_disable satisfy "
        "auth_delay internal lingering_close lingering_time lingering_timeout "
        "reset_timedout_connection absolute_redirect server_name_in_redirect "
        "port_in_redirect msie_padding msie_refresh log_not_found log_subrequest "
        "recursive_error_pages server_tokens if_modified_since max_ranges "
        "chunked_transfer_encoding etag early_hints error_page post_action error_log "
        "open_file_cache open_file_cache_valid open_file_cache_min_uses "
        "open_file_cache_errors open_file_cache_events resolver resolver_timeout "
        "gzip_vary gzip_http_version gzip_proxied gzip_disable disable_symlinks"
    ),
    "ngx_http_upstream_module": "upstream server resolver resolver_timeout",
    "ngx_http_v2_module": (
        "http2 http2_recv_buffer_size http2_pool_size http2_max_concurrent_streams "
        "http2_max_concurrent_pushes http2_max_requests http2_max_field_size "
        "http2_max_header_size http2_body_preread_size http2_streams_index_size "
        "http2_recv_timeout http2_idle_timeout http2_chunk_size http2_push_preload "
        "http2_push"
    ),
    "ngx_http_v3_module": (
        "http3 http3_hq http3_max_concurrent_streams http3_stream_buffer_size "
        "quic_retry quic_gso quic_host_key quic_active_connection_id_limit"
    ),
    "ngx_mail_module": "mail",
    "ngx_google_perftools_module": "google_perftools_profiles",
    "ngx_stream_module": "stream",
    "ngx_stream_access_module": "allow deny",
    "ngx_stream_core_module": (
        "variables_hash_max_size variables_hash_bucket_size "
        "server_names_hash_max_size server_names_hash_bucket_size server listen "
        "server_name error_log resolver resolver_timeout proxy_protocol_timeout "
        "tcp_nodelay preread_buffer_size preread_timeout"
    ),
    "ngx_stream_geo_module": "geo",
    "ngx_stream_geoip_module": "geoip_country geoip_org geoip_city",
    "ngx_stream_limit_conn_module": (
        "limit_conn_zone limit_conn limit_conn_log_level limit_conn_dry_run"
    ),
    "ngx_stream_log_module": "log_format access_log open_log_file_cache",
    "ngx_stream_map_module": "map map_hash_max_size map_hash_bucket_size",
    "ngx_stream_pass_module": "pass",
    "ngx_stream_proxy_module": (
        "proxy_pass proxy_bind proxy_socket_keepalive proxy_socket_rcvbuf "
        "proxy_socket_sndbuf proxy_connect_timeout proxy_timeout proxy_buffer_size "
        "proxy_downstream_buffer proxy_upstream_buffer proxy_upload_rate "
        "proxy_download_rate proxy_requests proxy_responses proxy_next_upstream "
        "proxy_next_upstream_tries proxy_next_upstream_timeout proxy_protocol "
        "proxy_half_close proxy_ssl proxy_ssl_session_reuse proxy_ssl_protocols "
        "proxy_ssl_ciphers proxy_ssl_name proxy_ssl_server_name proxy_ssl_alpn "
        "proxy_ssl_verify proxy_ssl_verify_depth proxy_ssl_trusted_certificate "
        "proxy_ssl_crl proxy_ssl_certificate proxy_ssl_certificate_key "
        "proxy_ssl_certificate_cache proxy_ssl_password_file proxy_ssl_conf_command"
    ),
    "ngx_stream_realip_module": "set_real_ip_from",
    "ngx_stream_return_module": "return",
    "ngx_stream_set_module": "set",
    "ngx_stream_split_clients_module": "split_clients",
    "ngx_stream_ssl_module": (
        "ssl_handshake_timeout ssl_certificate ssl_certificate_key "
        "ssl_certificate_cache ssl_ech_file ssl_password_file "
        "ssl_certificate_compression ssl_dhparam ssl_ecdh_curve ssl_protocols "
        "ssl_ciphers ssl_verify_client ssl_verify_depth ssl_client_certificate "
        "ssl_trusted_certificate ssl_prefer_server_ciphers ssl_session_cache "
        "ssl_session_tickets ssl_session_ticket_key ssl_session_timeout ssl_crl "
        "ssl_ocsp ssl_ocsp_responder ssl_ocsp_cache ssl_stapling ssl_stapling_file "
        "ssl_stapling_responder ssl_stapling_verify ssl_conf_command "
        "ssl_reject_handshake ssl_alpn"
    ),
    "ngx_stream_ssl_preread_module": "ssl_preread",
    "ngx_stream_upstream_module": "upstream server resolver resolver_timeout",
    "ngx_stream_upstream_hash_module": "hash",
    "ngx_stream_upstream_least_conn_module": "least_conn",
    "ngx_stream_upstream_least_time_module": "least_time",
    "ngx_stream_upstream_random_module": "random",
    "ngx_stream_upstream_zone_module": "zone",
}


def _table(stream: bool) -> dict[str, str]:
    table: dict[str, str] = {}
    for module, names in MODULES.items():
        if module.startswith("ngx_stream_") is stream:
            for name in names.split():
                table.setdefault(name, module)
    return table


_stream = _table(stream=True)
_others = _table(stream=False)


def moduleOf(name: str, *, stream: bool = False) -> str | None:
    """
    The module of nginx that has this directive; C{None}: stock nginx has none.

    @param stream: in C{stream}, where many names mean another module's directive.
    """
    first, second = (_stream, _others) if stream else (_others, _stream)
    return first.get(name) or second.get(name)


def notSupported(grammar: Grammar) -> Iterable[tuple[str, tuple[str, ...]]]:
    """
    What of nginx is missing in a grammar: modules, each with its missing directives.
    """
    for module, names in MODULES.items():
        places = ~Where.STREAM_ANY
        if module.startswith("ngx_stream_"):
            places = Where.STREAM_ANY | Where.MAIN
        missing = tuple(
            name
            for name in names.split()
            if not any(each.where & places for each in grammar.named(name))
        )
        if missing:
            yield module, missing
