Groups choose their servers by `least_conn`, `hash` (also `consistent`), `ip_hash` and `random` (also `two`), each pick the same as nginx's. `zone` is accepted.
