# pragma version 0.4.3
# pragma evm-version paris
"""
@title Crowd
@notice Registers many nodes in one transaction, for tests that need a thousand.
"""

interface Relays:
    def register(
        identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]
    ) -> uint256: payable

MAX_NODES: constant(uint256) = 64


@external
@payable
def register(relays: Relays, n: uint256):
    """
    @notice Register nodes with equal stakes.
    @param relays The registry.
    @param n At most 64.
    """
    stake: uint256 = msg.value // n
    for i: uint256 in range(n, bound=MAX_NODES):
        key: bytes32 = keccak256(abi_encode(self, i, block.number))
        endpoints: bytes32[4] = [key, empty(bytes32), empty(bytes32), empty(bytes32)]
        extcall relays.register(key, key, [key, key], endpoints, value=stake)
