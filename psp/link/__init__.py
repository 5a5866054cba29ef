"""Links: encrypted sessions between neighbours, over UDP.

Owners use ``machine`` (`LinkMachine`), ``config``, ``events``, ``stats`` and
``circuit_ids``; the rest is how it works::

    machine      packets in, trains out
      strangers    packets without keys in use
      lifecycle    links begin, get keys, end
        initiator    our side of a handshake      responder    the other side
        table        links by name, peer, token   upkeep       what time asks of a link
          link         one session: queue, keys, cells of its own
            keypair      sealing and opening; replay window
            gaps         what was lost, and when to ask for it
            repair       what was sent, to send it again
            liveness     signs of life            roaming      a peer's new address
      indexes      receiver index to owner
      cookie, limits, freshness                   what strangers may cause
"""
