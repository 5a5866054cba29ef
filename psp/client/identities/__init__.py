"""Who a client is: an identity, or keys made ahead for it."""
