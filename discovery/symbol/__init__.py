"""Membership on Symbol and on Sirius, read-only and EXPERIMENTAL.

Never run against a live node: built from the gateways' sources and tested against
recorded answers. It proves nothing either: it believes one REST gateway, except that
records must carry their own signatures and the elected list must follow from the
importances that the gateway shows. Use the EVM backend (`discovery.evm`).

Without contracts, everything is account metadata (at most 1,024 bytes under a 64-bit
key that we scope):

* **Record.** Under a key of ours stands a node or a user (`metadata`). Its owner is the
  account that put it there (``sourceAddress``), whose 20-byte hash is the ``operator``
  of the signed text. The account's key and the identity are different keys: Sirius'
  accounts sign with SHA-3, which is not Ed25519 as others know it.
* **Stake.** The native importance of the account that the record is attached to (the
  target, which has to agree). One operator may so run many nodes.
* **Partners.** A multisig account, whose own metadata lists the trusted nodes and
  publishes each epoch's elected list. The 20-byte hash of its address stands for the
  registry in `psp.wire.network.Network`.
* **Election.** The same integer score as on EVM, computed by each reader from
  importances at a fixed height and a later block's generation hash (`draw`), and
  compared with the published list.

Publishing is done with the chain's own tools; no Symbol SDK is imported here.

`rest` is the door to a gateway, `symbol_rest` and `sirius_rest` know its answers,
`listing` reads pages, `records` judges records, `reader` puts it together.
"""
