"""Circuits: both ends of them, as machines that take and give cells.

`origin.OriginCircuit` is the client's end, `hop.HopCircuit` the end of one relay, and
`create` the handshake cells between neighbours. Nothing here knows what a link is.
"""
