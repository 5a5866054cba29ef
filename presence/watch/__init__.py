"""Watching: handles at presence points, cookies at watch points; SPEC.md section 6.5."""
