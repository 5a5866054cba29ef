"""Discovery: who the discovery nodes are, and what they serve."""
