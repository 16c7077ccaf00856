`persist` and `$upstream_persist_*` in `stream`, over TCP and UDP.
