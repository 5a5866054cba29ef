"""Media over a session: aiortc without ICE."""
