`proxy_force_ranges` answers requests for a part of a response.
