Protocols may leave out common directives, name the methods they know, and take variables in their `*_pass`; `*_next_upstream` may be repeated.
