"""What the commands do that read and write the chain.

``target`` says which chain, ``chain`` asks it, ``paying`` shows what something costs and
sends it; the others are the work of one group of commands each. `cli.commands` only reads
the command line and prints.
"""
