"""The client: what an app talks to."""
