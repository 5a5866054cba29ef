# pragma version 0.4.3
# pragma evm-version paris
"""
@title Greedy
@notice A voter who calls back while he is being paid.
"""

interface Relays:
    def vote(number: uint256): payable
    def unvote(number: uint256, amount: uint256): nonpayable
    def withdraw(): nonpayable

relays: Relays
number: uint256
is_refusing: public(bool)
again: public(uint256)  # how often a second payment was tried
paid: public(uint256)  # how often one was made


@external
@payable
def vote(relays: Relays, number: uint256):
    """
    @notice Vote with the money sent.
    @param relays The registry.
    @param number The node.
    """
    self.relays = relays
    self.number = number
    extcall relays.vote(number, value=msg.value)


@external
def unvote(amount: uint256):
    """
    @notice Take votes back.
    @param amount Wei.
    """
    extcall self.relays.unvote(self.number, amount)


@external
def refuse(is_refusing: bool):
    """
    @notice Take no money from now on, or take it again.
    @param is_refusing Whether payments are refused.
    """
    self.is_refusing = is_refusing


@external
def withdraw():
    """
    @notice Ask for the money.
    """
    extcall self.relays.withdraw()


@external
@payable
def __default__():
    assert not self.is_refusing, "no"
    self.again += 1
    done: bool = raw_call(self.relays.address, method_id("withdraw()"), revert_on_failure=False)
    if done:
        self.paid += 1
