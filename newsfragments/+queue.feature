`queue NUMBER [timeout=TIME]` in `upstream{}` lets requests wait, in their order, while no server is available; `$upstream_queue_time` says how long.
