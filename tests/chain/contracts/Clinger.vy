# pragma version 0.4.3
# pragma evm-version paris
"""
@title Clinger
@notice An account with a name that refuses the deposit's return, or calls back while it is paid.
"""

interface Users:
    def register(identity: bytes32, sig: bytes32[2]) -> uint256: nonpayable
    def move(number: uint256, to: address, sig: bytes32[2]): nonpayable

interface Names:
    def register(name: bytes32, user: uint256) -> uint256: payable
    def release(number: uint256): nonpayable

names: Names
number: uint256
user: public(uint256)
is_refusing: bool
again: public(uint256)  # how often a second payment was tried
paid: public(uint256)  # how often one was made


@external
@payable
def register(users: Users, names: Names, name: bytes32):
    """
    @notice Enter a user, and take a name for it with the money sent.
    @param users The contract of users.
    @param names The contract of names.
    @param name The name.
    """
    self.names = names
    self.user = extcall users.register(name, [name, name])
    self.number = extcall names.register(name, self.user, value=msg.value)


@external
def move(users: Users, to: address):
    """
    @notice Give the user to another account.
    @param users The contract of users.
    @param to The account.
    """
    extcall users.move(self.user, to, [empty(bytes32), empty(bytes32)])


@external
def refuse(is_refusing: bool):
    """
    @notice Take no money from now on, or take it again.
    @param is_refusing Whether payments are refused.
    """
    self.is_refusing = is_refusing


@external
def release():
    """
    @notice Give the name up.
    """
    extcall self.names.release(self.number)


@external
@payable
def __default__():
    assert not self.is_refusing, "no"
    self.again += 1
    done: bool = raw_call(
        self.names.address,
        abi_encode(self.number, method_id=method_id("release(uint256)")),
        revert_on_failure=False,
    )
    if done:
        self.paid += 1
