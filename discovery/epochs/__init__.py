"""The epoch driver of a relay: has seeds drawn, and puts its node up for election.

``driver`` decides (pure), ``state_source`` reads what it must know, ``service`` acts.
"""
