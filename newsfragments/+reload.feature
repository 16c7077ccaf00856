A reload loses no request: what clients have sent on idle connections is answered before these are closed.
