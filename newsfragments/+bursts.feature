Without `backlog=`, up to 4096 connections may wait to be accepted (nginx: 511): a burst of a thousand clients loses none and waits for no retransmission.
