"""Settings of sending."""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class EndpointsConfig:
    """How several endpoints are asked.

    Attributes:
        grace: Seconds the slower ones get after most have answered.
        forgive_after: Seconds in which one that gave nothing is not waited for.
    """

    grace: Seconds = Seconds(1.0)
    forgive_after: Seconds = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How one transaction is seen through.

    Attributes:
        confirmations: Blocks it must be deep, its own included.
        first_poll: Seconds before the second look for its receipt; twice that before
            each further one, up to
        poll_every: seconds.
        send_again_after: Seconds after which the same bytes are sent again: endpoints
            forget what waits.
        replace_after: Seconds, and
        replace_after_blocks: blocks without it after which it is replaced by one that
            offers an eighth more.
        give_up_after: Seconds after which the caller is told that it is still pending.
        lock_wait: Seconds for another process to be done with the account.
        taken_after: Seconds through which every look must find the nonce used and no
            receipt of ours: an endpoint's index of receipts may lag behind its state.
        catch_up: Seconds for endpoints to show what was mined; they lag by a block or
            two.
    """

    confirmations: int = 1
    first_poll: Seconds = Seconds(0.1)
    poll_every: Seconds = Seconds(2.0)
    send_again_after: Seconds = Seconds(15.0)
    replace_after: Seconds = Seconds(60.0)
    replace_after_blocks: int = 4
    give_up_after: Seconds = Seconds(600.0)
    lock_wait: Seconds = Seconds(60.0)
    taken_after: Seconds = Seconds(20.0)
    catch_up: Seconds = Seconds(30.0)
