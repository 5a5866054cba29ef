"""Bytes on the wire; SPEC.md is normative."""
