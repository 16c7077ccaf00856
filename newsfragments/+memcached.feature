`memcached_pass` with all its directives: values of memcached, byte for byte as nginx answers.
