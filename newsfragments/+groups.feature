Groups with smooth weighted round robin, `max_fails`, `fail_timeout`, `max_conns`, `backup` and `down`, idle connections that are kept, and `proxy_next_upstream` with all its conditions.
