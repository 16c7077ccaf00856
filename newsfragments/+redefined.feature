`listen` lines of one address that contradict each other in `ssl` or `proxy_protocol` are warned of.
