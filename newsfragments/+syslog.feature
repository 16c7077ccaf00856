`error_log` and `access_log` may say `syslog:server=ADDRESS` with `facility`, `severity`, `tag` and `nohostname`.
