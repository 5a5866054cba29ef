"""Documents that somebody signs."""
