"""The demo: a whole network and a call on one machine."""
