"""Presence: who can be reached where."""
