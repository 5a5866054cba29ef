"""The operating system: sockets, clock, files, logs."""
