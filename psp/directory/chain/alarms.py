"""What is out of the ordinary about a new view of the chain.

Proofs show that a view is what the chain says; here it is judged whether that can be
true. A *refusal* means that the view is not taken; a *freeze* the same, and that nothing
will be until somebody has looked at it; a *warning* is shown. Some things are refused
only while fewer than all endpoints agree (T6): a false list would most likely show in
them first.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from psp.directory.chain.header import BlockHeader
from psp.directory.chain.listed import ListedRecord, NotCounted
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.view import ChainView
from psp.errors import LocalProtocolError
from psp.ids import NodeId, UserId

BLOCK_SECONDS = 12
"""Of Ethereum; other chains are faster."""


class Severity(enum.StrEnum):
    """What follows from an alarm."""

    WARNING = "warning"
    REFUSAL = "refusal"
    FREEZE = "freeze"


class AlarmKind(enum.StrEnum):
    """What is out of the ordinary."""

    STALE = "stale head"
    FUTURE = "head from the future"
    OLDER = "older than what is held"
    TIME_BACK = "time going back"
    REORGANISED = "reorganised"
    CONTRACT = "contract replaced"
    RECORDS_BACK = "records going back"
    GROWN = "grown"
    SHRUNK = "shrunk"
    OWN_NODE_MISSING = "own node missing"
    OWN_KEY_CHANGED = "own key changed"
    OWN_USER_MISSING = "own user missing"
    UNSIGNED = "many records unsigned"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing out of the ordinary.

    Attributes:
        kind: Which.
        severity: What follows.
        sentence: For logs and `psp status`; names nobody.
    """

    kind: AlarmKind
    severity: Severity
    sentence: str


@dataclass(frozen=True, slots=True)
class AlarmConfig:
    """What counts as ordinary.

    Attributes:
        max_head_age: Seconds; three blocks and a minute, more where finality is waited
            for.
        max_head_lead: Seconds that a block may be ahead of this host's clock (R-TIM-1).
        max_change: Share by which the number of nodes may change from epoch to epoch.
        min_nodes: Below this, shares say nothing.
        max_unsigned: Share of records that may lack a valid signature of their own.
        own_node: The node that is reading, if it is one.
        own_onion_keys: Keys that its record may show; empty to accept any.
        own_user: The user who is reading, if it is one.
    """

    max_head_age: int = 3 * BLOCK_SECONDS + 60
    max_head_lead: int = 120
    max_change: float = 0.3
    min_nodes: int = 8
    max_unsigned: float = 0.2
    own_node: NodeId | None = field(default=None, repr=False)
    own_onion_keys: frozenset[bytes] = field(default=frozenset(), repr=False)
    own_user: UserId | None = field(default=None, repr=False)


def judge(
    previous: ChainView | None,
    new: ChainView,
    unix_now: int,
    config: AlarmConfig,
    *,
    is_full_quorum: bool,
    ancestor: BlockHeader | None = None,
) -> list[Alarm]:
    """Return everything out of the ordinary about a view.

    Args:
        previous: What is held; None if nothing.
        new: The view.
        unix_now: This host's time.
        config: What is ordinary.
        is_full_quorum: Whether all endpoints agreed on the block, none missing.
        ancestor: The block that is now at the height of ``previous``, asked for again:
            another one there means that history below finality has changed.
    """
    grave = Severity.WARNING if is_full_quorum else Severity.REFUSAL
    alarms = [*_age(new, unix_now, config), *_own(previous, new, config, grave)]
    alarms += _signatures(new, config)
    if previous is not None:
        if previous.network != new.network:
            raise LocalProtocolError("views of two networks have nothing in common")
        alarms += _history(previous, new, ancestor)
        alarms += _records(previous, new)
        alarms += _size(previous, new, config, grave)
    return alarms


def _age(view: ChainView, unix_now: int, config: AlarmConfig) -> Iterator[Alarm]:
    age = unix_now - view.timestamp
    if age > config.max_head_age:
        yield Alarm(
            AlarmKind.STALE,
            Severity.WARNING,
            f"the newest block is {age} s old, {config.max_head_age} s are usual",
        )
    if -age > config.max_head_lead:
        yield Alarm(
            AlarmKind.FUTURE,
            Severity.REFUSAL,
            f"the newest block is {-age} s ahead of this host's clock; check the clock",
        )


def _history(
    previous: ChainView, new: ChainView, ancestor: BlockHeader | None
) -> Iterator[Alarm]:
    if new.height < previous.height:
        yield Alarm(
            AlarmKind.OLDER,
            Severity.REFUSAL,
            f"block {new.height} is below block {previous.height}, which was read before",
        )
        return
    here = new.block_hash if new.height == previous.height else previous.block_hash
    if ancestor is not None and ancestor.number == previous.height:
        here = ancestor.hash
    if here != previous.block_hash:
        yield Alarm(
            AlarmKind.REORGANISED,
            Severity.FREEZE,
            f"block {previous.height} was final and is another one now: the chain was "
            "reorganised, or its endpoints lie; the list stays as it is",
        )
    if new.height > previous.height and new.timestamp < previous.timestamp:
        yield Alarm(
            AlarmKind.TIME_BACK,
            Severity.REFUSAL,
            f"block {new.height} is {previous.timestamp - new.timestamp} s older than "
            f"block {previous.height}",
        )


_UNCHANGING: Sequence[tuple[str, Callable[[ChainView], object]]] = (
    ("code", lambda view: view.code_hashes),
    ("start", lambda view: view.state.genesis),
    ("epoch length", lambda view: view.state.epoch_length),
    ("unbonding time", lambda view: view.state.unbonding),
    ("number of seats", lambda view: view.state.seats),
    ("seed delay", lambda view: view.state.seed_delay),
    ("way of drawing", lambda view: view.state.sortition),
    ("rule of nomination", lambda view: view.state.self_only),
    ("strategy", lambda view: view.state.strategy),
    ("least stake", lambda view: view.state.min_stake),
    ("record contracts", lambda view: (view.state.book, view.state.users)),
)
"""What no function of the contracts can change."""


def _records(previous: ChainView, new: ChainView) -> Iterator[Alarm]:
    changed = [name for name, part in _UNCHANGING if part(previous) != part(new)]
    if changed:
        yield Alarm(
            AlarmKind.CONTRACT,
            Severity.REFUSAL,
            f"the contract has another {', '.join(changed)} than before: it was replaced",
        )
    if new.height < previous.height:
        return
    back = _gone_back(previous.nodes.listed, new.nodes.listed)
    if previous.users is not None and new.users is not None:
        back += _gone_back(previous.users.listed, new.users.listed)
    if back:
        yield Alarm(
            AlarmKind.RECORDS_BACK,
            Severity.REFUSAL,
            f"{back} records are missing, of an earlier version or alive again",
        )


def _gone_back(old: Sequence[ListedRecord], new: Sequence[ListedRecord]) -> int:
    """Count records that changed in a way the contracts have no function for."""
    return max(0, len(old) - len(new)) + sum(
        before.raw != after.raw and not _may_follow(before, after)
        for before, after in zip(old, new, strict=False)
    )


def _may_follow(before: ListedRecord, after: ListedRecord) -> bool:
    """Tell whether an active record got a new version, or was ended."""
    if not _is_active(before):
        return False
    ended = after.version == before.version and not _is_active(after)
    return ended or after.version > before.version


def _is_active(record: ListedRecord) -> bool:
    return record.summary & 15 == NodeStatus.ACTIVE  # the same number for users


def _size(
    previous: ChainView, new: ChainView, config: AlarmConfig, grave: Severity
) -> Iterator[Alarm]:
    before, after = len(previous.nodes.nodes), len(new.nodes.nodes)
    if max(before, after) < config.min_nodes:
        return
    epochs = min(30, max(1, new.state.epoch - previous.state.epoch))
    most = before * (1 + config.max_change) ** epochs
    least = before * (1 - config.max_change) ** epochs
    if after > most:
        kind = AlarmKind.GROWN
    elif after < least:
        kind = AlarmKind.SHRUNK
    else:
        return
    yield Alarm(
        kind,
        grave,
        f"{after} nodes where {before} were, which needs the word of all endpoints",
    )


def _own(
    previous: ChainView | None, new: ChainView, config: AlarmConfig, grave: Severity
) -> Iterator[Alarm]:
    node, user = config.own_node, config.own_user
    if node is not None:
        record = new.nodes.nodes.get(node)
        if record is None:
            was_there = previous is not None and node in previous.nodes.nodes
            yield _missing(AlarmKind.OWN_NODE_MISSING, grave, was_there=was_there)
        elif config.own_onion_keys and record.onion_key not in config.own_onion_keys:
            yield Alarm(
                AlarmKind.OWN_KEY_CHANGED,
                Severity.WARNING,
                "the list shows an onion key for this node that it does not have",
            )
    if user is not None and new.users is not None and user not in new.users.users:
        held = previous.users if previous is not None else None
        was_there = held is not None and user in held.users
        yield _missing(AlarmKind.OWN_USER_MISSING, grave, was_there=was_there)


def _missing(kind: AlarmKind, grave: Severity, *, was_there: bool) -> Alarm:
    who = "node" if kind is AlarmKind.OWN_NODE_MISSING else "user"
    if was_there:
        return Alarm(kind, grave, f"this {who} is not in the list any more")
    return Alarm(
        kind, Severity.WARNING, f"this {who} is not in the list; is it registered?"
    )


def _signatures(view: ChainView, config: AlarmConfig) -> Iterator[Alarm]:
    unsigned = view.nodes.refused.get(NotCounted.SIGNATURE, 0)
    total = len(view.nodes.nodes) + unsigned
    if unsigned >= config.min_nodes and unsigned > total * config.max_unsigned:
        yield Alarm(
            AlarmKind.UNSIGNED,
            Severity.WARNING,
            f"{unsigned} of {total} records are not signed by their nodes",
        )
