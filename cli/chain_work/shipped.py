"""Whether the contracts on a chain are those that this program ships.

The code of Users and NodeBook is the same everywhere; that of Relays ends in its
parameters, which are proven beside it.
"""

from collections.abc import Iterator

from discovery.contract.artefacts import artefact
from psp.crypto.keccak import keccak256
from psp.directory.chain.alarms import Alarm, AlarmKind, Severity
from psp.directory.chain.state import ElectionState
from psp.directory.chain.view import ChainView


def is_shipped_registry(state: ElectionState, code_hash: bytes) -> bool:
    """Tell whether Relays is ours, with the parameters that it says it has."""
    values = {
        "GENESIS": state.genesis,
        "EPOCH_LENGTH": state.epoch_length,
        "UNBONDING": state.unbonding,
        "MIN_STAKE": state.min_stake,
        "SEATS": state.seats,
        "SEED_DELAY": state.seed_delay,
        "SORTITION": int(state.sortition),
        "SELF_ONLY": int(state.self_only),
        "BOOK": int.from_bytes(state.book),
    }
    relays = artefact("Relays")
    code = relays.code(values[name] for name in relays.immutables)
    return keccak256(code) == code_hash


def shipped(view: ChainView) -> dict[str, bool]:
    """Tell for each contract whether its code is the shipped one."""
    return {
        "Relays": is_shipped_registry(view.state, view.code_hashes.relays),
        "NodeBook": _has_code("NodeBook", view.code_hashes.book),
        "Users": _has_code("Users", view.code_hashes.users),
    }


def foreign_contracts(view: ChainView) -> Iterator[Alarm]:
    """Yield an alarm if a contract is not the shipped one."""
    foreign = [name for name, is_ours in shipped(view).items() if not is_ours]
    if foreign:
        yield Alarm(
            AlarmKind.CONTRACT,
            Severity.WARNING,
            f"the code of {', '.join(foreign)} is not what this program ships",
        )


def _has_code(name: str, code_hash: bytes) -> bool:
    return keccak256(artefact(name).code()) == code_hash
