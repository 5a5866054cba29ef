"""Calls: placing them, letting them ring, keeping their legs."""
