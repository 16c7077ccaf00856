`geo` (with `ranges`, `proxy`, IPv6) and `split_clients`.
