Static files, `rewrite`, `if`, `map`, `error_page`, `try_files`, `allow` and `deny`, real IP, PROXY protocol, `log_format` and `access_log`.
