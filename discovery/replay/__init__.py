"""An election recomputed from what anybody can read on the chain.

``draw`` is the computation, ``logs`` reads events in small ranges of blocks, ``client``
gathers what the computation needs from several endpoints.
"""
