"""The local gateway: presence over HTTP and server-sent events, for other languages.

It listens on loopback only, and answers only to who holds the token. `service.py` is the
way in; what it asks of a client is in `ports.py`, what it says in `bodies.py`.
"""
