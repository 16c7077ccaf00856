`persist KEY` in `upstream{}` keeps a client with its server until that is full or fails; what happens then can be chosen. `$upstream_persist_status`, `_key` and `_age` tell.
