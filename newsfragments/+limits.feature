`limit_conn` and `limit_req` with all that belongs to them; zones outlive a reload.
