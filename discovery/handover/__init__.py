"""Hand-overs: signing, collecting and serving the chain's list for others."""
