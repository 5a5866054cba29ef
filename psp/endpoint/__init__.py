"""What a client is, without I/O: links, circuits and sessions together."""
