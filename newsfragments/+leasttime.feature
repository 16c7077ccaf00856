Groups choose their servers by `least_time` (also `inflight`), pick for pick as nginx, by `random two least_time`, and by `random two least_time=ewma`, which avoids a server after one slow answer.
