Large response bodies between plain TCP connections move from socket to socket by `splice(2)` on Linux, where nobody has to look at them.
