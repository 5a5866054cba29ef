"""The chain's part in a relay process: who is a member, and the elections."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from cli.node_config import NodeConfig
from discovery.epochs.service import EpochService, open_sender
from discovery.handover.service import HandOverService
from discovery.transactions.client import Endpoints
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import hkdf, x25519_public
from psp.directory.chain.alarms import AlarmConfig, AlarmKind
from psp.entropy import Entropy
from psp.ids import NodeId
from psp.runtime.chain_membership import ChainMembership, Reader, open_membership
from psp.runtime.membership import Membership
from psp.runtime.ports import LinkPort

_CACHE_KEY_SIZE = 32


async def open_relay_membership(
    config: NodeConfig,
    identity: SigningKey,
    onion_privates: list[bytes],
    *,
    unix_time: Callable[[], float],
    entropy: Entropy,
    log: FilteringBoundLogger,
) -> Membership:
    """Open the membership of a relay, which knows how its own record must look.

    Raises:
        ConfigError: If there is no registry to be had; the text says why.
    """
    keys = frozenset(map(x25519_public, onion_privates))
    reader = Reader(
        config.state_dir,
        hkdf(
            identity.seed, salt=b"", info=Label.CHAIN_CACHE_KEY, length=_CACHE_KEY_SIZE
        ),
        alarms=AlarmConfig(own_node=NodeId(identity.public), own_onion_keys=keys),
    )
    return await open_membership(
        config.membership, reader, unix_time=unix_time, entropy=entropy, log=log
    )


def make_epochs(
    config: NodeConfig,
    membership: Membership,
    node_id: NodeId,
    *,
    entropy: Entropy,
    log: FilteringBoundLogger,
) -> EpochService | None:
    """Return the epoch driver of a relay; None without a chain's endpoints.

    Raises:
        ConfigError: If the operator's key cannot be opened.
    """
    if not isinstance(membership, ChainMembership) or not membership.endpoints:
        return None
    endpoints = Endpoints(membership.endpoints, config.membership.chain_id)

    def number() -> int | None:
        view = membership.registry.view
        numbers = view.nodes.numbers if view is not None else {}
        return next((n for n, node in numbers.items() if node == node_id), None)

    return EpochService(
        config.epochs,
        endpoints=endpoints,
        relays=membership.registry.network.registry,
        number=number,
        entropy=entropy,
        log=log,
        sender=open_sender(config.epochs, endpoints),
        on_epoch=lambda _: membership.look_now(),
    )


def make_hand_overs(
    config: NodeConfig,
    membership: Membership,
    identity: SigningKey,
    links: LinkPort,
    *,
    entropy: Entropy,
    log: FilteringBoundLogger,
) -> HandOverService | None:
    """Return what vouches for the chain's list; None where the chain is not read.

    Raises:
        ConfigError: If what was kept is damaged, or open to others.
    """
    if not isinstance(membership, ChainMembership) or membership.reader is None:
        return None
    has_partners = bool(config.membership.partners)
    return HandOverService(
        config.handover,
        identity=identity,
        registry=membership.registry,
        view=lambda: membership.registry.view,
        view_at=membership.reader.view_at,
        links=links,
        entropy=entropy,
        state_dir=config.state_dir,
        log=log,
        partners=config.membership.anchor().partners if has_partners else (),
    )


def own_key_is_foreign(membership: Membership) -> bool:
    """Tell whether the chain shows a key for this relay that it does not have (R-KEY-1)."""
    return isinstance(membership, ChainMembership) and any(
        alarm.kind is AlarmKind.OWN_KEY_CHANGED for alarm in membership.alarms
    )
