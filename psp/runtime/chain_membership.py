"""Membership from a chain: its reader, the cache on disk, and what to do without either.

::

    cache on disk --> at once, if younger than a day         source "cached"
    endpoints     --> at times (`psp.directory.chain.looks`) source "elected"
    snapshot      --> from discovery nodes, without endpoints source "elected"
    trusted file  --> only if the chain was never read        source "trusted"

Whatever cannot be read or is refused leaves the registry as it is and is said
(`explanation`, `alarms`); calls in progress never depend on it (R-RPC-2).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from psp.directory.chain.alarms import Alarm, AlarmConfig, Severity, judge
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.looks import LookConfig, next_look
from psp.directory.chain.registry import ChainRegistry
from psp.directory.chain.view import ChainView
from psp.directory.registry import Source
from psp.directory.trusted import RegistryRefusedError
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.runtime.chain_cache import ChainCache
from psp.runtime.chain_names import NamesFollower
from psp.runtime.chain_reader import ChainReader, Completeness, Reading
from psp.runtime.membership import (
    FileMembership,
    Membership,
    MembershipConfig,
)
from psp.runtime.quorum import ChainReadError, QuorumRpc
from psp.runtime.rpc import bytes_received, new_session, numbered_endpoints
from psp.units import Seconds, UnixTime

FIRST_READ_WITHIN = Seconds(20.0)
"""For the first reading of a process that has nothing else to live on."""
QUICK_READ_WITHIN = Seconds(3.0)
"""For that of a process with a cache: long enough to see what was revoked meanwhile."""
CUT_OFF_AFTER = Seconds(3_600.0)
"""Without a proven view for so long, one that others vouch for is better than none."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads.

    Attributes:
        state_dir: A private directory; the cache goes there.
        cache_key: Authenticates it, 32 bytes.
        reads_users: Whether the list of users is wanted.
        reads_names: Whether names are wanted, and users with them, if the settings name
            their contract.
        alarms: What is out of the ordinary for this reader.
        day_bytes: What looks may cost a day; 0: look as often as the settings say.
    """

    state_dir: Path
    cache_key: bytes
    reads_users: bool = True
    reads_names: bool = False
    alarms: AlarmConfig = AlarmConfig()  # noqa: RUF009 - frozen
    day_bytes: int = 0


async def open_membership(
    config: MembershipConfig,
    reader: Reader,
    *,
    unix_time: Callable[[], float],
    entropy: Entropy,
    log: FilteringBoundLogger,
    lowest_sequence: int = 0,
) -> Membership:
    """Return the membership that the settings describe, ready to be used.

    Raises:
        ConfigError: If there is neither a chain, nor a cache, nor a file; says why.
    """
    if not config.reads_chain:
        return FileMembership(config, unix_time, log, lowest_sequence)
    membership = ChainMembership(
        config, reader, unix_time=unix_time, entropy=entropy, log=log
    )
    try:
        await membership.start()
    except BaseException:
        await membership.close()
        raise
    return membership


class ChainMembership:
    """Keeps a `ChainRegistry` up to date.

    Attributes:
        registry: What everybody reads.
        alarms: What was out of the ordinary at the last look.
        failure: Why the last look failed, in a sentence; empty if it did not.
        reader: To read other blocks; None without endpoints.
        endpoints: The chain's endpoints, in the order of the settings.
        names: Keeps the registry's names up to date, if they are wanted.
    """

    def __init__(
        self,
        config: MembershipConfig,
        reader: Reader,
        *,
        unix_time: Callable[[], float],
        entropy: Entropy,
        log: FilteringBoundLogger,
    ) -> None:
        """Open connections lazily; call in a running loop.

        Raises:
            ConfigError: If a setting is wrong.
        """
        if config.rpc:
            config.check_endpoints()
        self.registry = ChainRegistry(config.network())
        self.alarms: list[Alarm] = []
        self.failure = ""
        self._config = config
        self._who = replace(
            reader, alarms=replace(reader.alarms, max_head_age=int(config.max_head_age))
        )
        self._unix_time, self._entropy, self._log = unix_time, entropy, log
        self._session = new_session(len(config.rpc)) if config.rpc else None
        self.endpoints = tuple(numbered_endpoints(config.rpc, self._session))
        names = config.names_address() if reader.reads_names else None
        reads_users = reader.reads_users or names is not None
        self.reader = self._make_reader(reads_users) if config.rpc else None
        self.names = NamesFollower(
            self.registry, self.reader, names, (reader.state_dir, reader.cache_key), log
        )
        self._cache = ChainCache(
            reader.state_dir, reader.cache_key, self.registry.network, log
        )
        self._file: FileMembership | None = None
        self._said: tuple[str, ...] = ()
        self._hurry = asyncio.Event()
        self._is_frozen = False
        self._completeness: Completeness | None = None
        self._first_look: asyncio.Task[bool] | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether no endpoint shows the chain, and has not for an hour."""
        if self.reader is None:
            return True
        view = self.registry.view
        read = view.timestamp if view is not None else 0
        return bool(self.failure) and self._unix_time() - read > CUT_OFF_AFTER

    @property
    def knows_users(self) -> bool:
        """Whether the list of users was read; snapshots come without."""
        view = self.registry.view
        return view is None or view.users is not None

    @property
    def is_verified(self) -> bool:
        """Whether this process has itself proven the registry in use, all of it."""
        return (
            self._completeness is Completeness.PROVEN
            and self.registry.view is not None
            and self.registry.source is not Source.CACHED
        )

    @property
    def explanation(self) -> str:
        """Where the registry comes from and how it stands, in a sentence."""
        view = self.registry.view
        if view is None:
            origin = "the trusted partners' file, as the chain was never read"
        else:
            age = max(0, int(self._unix_time()) - view.timestamp)
            origin = (
                f"block {view.height} of chain {view.network.chain_id}, {age} s old, "
                f"list of epoch {view.state.list_epoch or 'none'}"
            )
            if self.registry.source is Source.CACHED:
                origin += ", from this host's cache"
        notes = [alarm.sentence for alarm in self.alarms]
        if self._is_frozen:
            notes.append(f"remove {self._cache.path} to begin anew")
        notes += [each for each in (self.failure, self.names.failure) if each]
        return "; ".join([origin, *notes])

    async def start(self) -> None:
        """Have a registry: from the cache, the chain or the file.

        Raises:
            ConfigError: If none of them gives one.
        """
        has_cache = self._load()
        within = QUICK_READ_WITHIN if has_cache else FIRST_READ_WITHIN
        # Not cancelled when it takes longer: its threads would go on without it.
        self._first_look = asyncio.create_task(self.refresh())
        done, _ = await asyncio.wait({self._first_look}, timeout=within)
        if not done:
            self._fail(f"the chain was not read within {within:.0f} s")
        if self.registry.view is None:
            self._fall_back()

    async def refresh(self) -> bool:
        """Look at the chain once; tell whether the registry changed. Never fails."""
        if self.reader is None or self._is_frozen:
            return False
        try:
            reading = await self.reader.read(self.registry.view)
        except (ChainReadError, DecodeError) as error:
            self._fail(str(error))
            return False
        is_changed = await self._take(reading)
        await self.names.look(reading)
        return is_changed

    def adopt_snapshot(self, view: ChainView) -> bool:
        """Take over a view that discovery nodes have vouched for; it was verified.

        Returns:
            Whether the registry changed.
        """
        # Two thirds of a list and a partner stand for it: all that there is to ask.
        return self._adopt(view, None, is_full_quorum=True)

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Look again and again; call ``on_change`` after each change."""
        when = LookConfig(self._config.poll_every, day_bytes=self._who.day_bytes)
        spent = 0
        before = self.registry.sequence
        if self._first_look is not None:
            await self._first_look
        while True:
            if self.registry.sequence != before:
                on_change()
            pause = next_look(when, self.registry.view, spent, self._entropy.uniform())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
            self._hurry.clear()
            before, spent = self.registry.sequence, -bytes_received(self.endpoints)
            await self.refresh()
            spent += bytes_received(self.endpoints)
            await self._look_at_file()

    def look_now(self) -> None:
        """Have `follow` look at once: an epoch has begun."""
        self._hurry.set()

    def file(self) -> bytes | None:
        """Return the trusted partners' file, if it is in use."""
        return self._file.file() if self._file is not None else None

    def take_file(self, data: bytes) -> bool:
        """Take over a newer file while the chain was never read."""
        if self._file is None or self.registry.view is not None:
            return False
        return self._file.take_file(data) and self.registry.adopt_file(
            self._file.registry
        )

    async def close(self) -> None:
        """Save the view and close connections."""
        if self._first_look is not None:
            self._first_look.cancel()
            await asyncio.gather(self._first_look, return_exceptions=True)
        view = self.registry.view
        if view is not None and self.registry.source is not Source.CACHED:
            self._cache.save(view)
            self.names.save()
        if self._session is not None:
            await self._session.close()

    # ---- reading

    def _make_reader(self, reads_users: bool) -> ChainReader:  # noqa: FBT001
        quorum = QuorumRpc(
            self.endpoints,
            chain_id=self._config.chain_id,
            quorum=self._config.quorum,
            entropy=self._entropy,
        )
        return ChainReader(quorum, self.registry.network, reads_users=reads_users)

    async def _take(self, reading: Reading) -> bool:
        view, held = reading.view, self.registry.view
        ancestor = None
        if self.reader is not None and held is not None and view.height > held.height:
            try:
                ancestor = await self.reader.block_at(held.height)
            except ChainReadError:
                ancestor = None  # pruned, or no agreement now: judged without it
        return self._adopt(
            view,
            reading.completeness,
            is_full_quorum=reading.agreed.is_full,
            ancestor=ancestor,
        )

    def _adopt(
        self,
        view: ChainView,
        completeness: Completeness | None,
        *,
        is_full_quorum: bool,
        ancestor: BlockHeader | None = None,
    ) -> bool:
        now = UnixTime(int(self._unix_time()))
        self.alarms = judge(
            self.registry.view,
            view,
            now,
            self._who.alarms,
            is_full_quorum=is_full_quorum,
            ancestor=ancestor,
        )
        self._say_alarms()
        severities = {alarm.severity for alarm in self.alarms}
        self._is_frozen |= Severity.FREEZE in severities
        if severities - {Severity.WARNING}:
            return False
        was_cached = self.registry.source is Source.CACHED
        try:
            is_changed = self.registry.adopt(view, now)
        except RegistryRefusedError as error:
            self._fail(str(error))
            return False
        self.failure = ""
        self._completeness = completeness
        if is_changed or was_cached or self._cache.is_due(view):
            self._cache.save(view)
        if is_changed:
            self._log.info(
                "registry_updated",
                height=view.height,
                epoch=view.state.list_epoch,
                nodes=len(view.nodes.nodes),
                elected=len(view.elected()),
            )
        return is_changed

    def _say_alarms(self) -> None:
        sentences = tuple(alarm.sentence for alarm in self.alarms)
        kinds = tuple(alarm.kind.value for alarm in self.alarms)
        if kinds != self._said:
            self._said = kinds
            for sentence in sentences:
                self._log.warning("chain_alarm", what=sentence)

    def _fail(self, sentence: str) -> None:
        if sentence != self.failure:
            self._log.warning("chain_not_read", why=sentence)
        self.failure = sentence

    # ---- without the chain

    def _load(self) -> bool:
        view = self._cache.load()
        if view is None:
            return False
        try:
            self.registry.adopt_cached(view, UnixTime(int(self._unix_time())))
        except RegistryRefusedError as error:
            self._log.warning("chain_cache_unusable", why=str(error))
            return False
        self.names.load()
        return True

    async def _look_at_file(self) -> None:
        """Take over a newer file of the partners, as long as it is all there is."""
        if self._file is not None and self.registry.view is None:
            await self._file.look()
            self.registry.adopt_file(self._file.registry)

    def _fall_back(self) -> None:
        if self._config.file is None:
            raise ConfigError(
                f"the chain cannot be read: {self.failure or self._why()}; mend "
                "membership.rpc, or name the trusted partners' file as a fallback "
                "(membership.file)"
            )
        self._file = FileMembership(self._config, self._unix_time, self._log)
        self.registry.adopt_file(self._file.registry)
        self._log.warning("chain_never_read", source="trusted file", why=self.failure)

    def _why(self) -> str:
        sentences = [alarm.sentence for alarm in self.alarms]
        return "; ".join(sentences) or "no endpoint is set"
