"""Watching contacts without polling."""
