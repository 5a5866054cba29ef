"""The directory as its readers see it."""
