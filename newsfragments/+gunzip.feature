`gunzip` unpacks compressed responses for clients that do not accept them, a piece at a time.
