With a shared `ssl_session_cache`, the keys of session tickets are renewed each `ssl_session_timeout`, as in nginx.
