Fields that a client repeats with each request on its connection are read once: a browser's head costs less than half.
