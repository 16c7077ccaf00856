Groups that say `health_scope address` share what they know of a server by its address: one learns from the other's failures, in `http` and `stream` alike.
