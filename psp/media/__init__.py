"""Media over a session: aiortc without ICE.

An app makes a `psp.media.peer_connection.PipePeerConnection` over a
`psp.media.pipe.DatagramPipe` and uses it as the aiortc ``RTCPeerConnection`` it is::

    pipe ── gate ── ice ── dtls ─┬─ sender     encodes, answers NACK, marks key frames
      (what may pass) (no ICE)   ├─ receiver   assembly / audio_order, decoder thread
                                 └─ SCTP       data channels, as in aiortc

Pure files (told the time, no I/O): ``assembly``, ``audio_order``, ``codec``, ``gate``,
``marking``, ``sequence``, ``remote_sdp``. The rest adapts aiortc, whose private names
are listed and checked in one place, ``aiortc_names``.
"""
