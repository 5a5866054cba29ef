"""A relay on more than one core: processes that share an identity and nothing else.

::

    psp relay run (parent) --pipe--> worker 0: RelayNode, all services, the chain
                           --pipe--> worker 1 …: WorkerNode, forwards and joins circuits

Each worker has the UDP port of the node's record in its place. What worker 0 has
verified of the membership goes through the parent to the others.
"""
