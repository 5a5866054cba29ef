"""Keys and everything made of them; the only place that calls crypto libraries."""
