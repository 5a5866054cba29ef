"""The DHT on discovery nodes: kademlia's table and node under rules of our own.

The only package that imports ``kademlia`` (2.2.3, with rpcudp 5.0.1, both pinned). What
stock code would do wrong is replaced by subclasses:

========================  ====================================  ===========
stock                     here                                  module
========================  ====================================  ===========
datagrams                 SERVICE cells on relays' links        `protocol`
``rpc_*`` on any message  six typed messages                    `messages`
contacts by claim         nodes the registry elected            `members`
hand-off to newcomers     offers after an election              `handover`
``find_neighbors``        really the nearest                    `table`
crawl to the first value  validated crawl to r nodes            `lookup`
the first that answers    voices for one reader's nonce         `search`
anybody for as long       doubt about who lied                  `reputation`
any value, kept for ever  checked records that end              `storage`
a pickle of the node      records in a plain file               `keeping`
``get``, ``set``          disabled                              `server`
========================  ====================================  ===========
"""
