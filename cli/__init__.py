"""Command line: puts the services together and prints."""
