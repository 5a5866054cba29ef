"""A private Tor network's settings: three authorities, three relays, one client.

`SETTINGS` are those that Tor was measured with before, each its best in something; what
is compared is Tor's best of all with congestion control on.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cli.bench.place import Place

AUTHORITIES = ("auth0", "auth1", "auth2")
RELAYS = ("guard", "middle", "exit")
CLIENT = "client"

_FIRST_VOTES_EVERY = 5
"""Seconds: the least that tor allows."""

_VOTES = """\
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo nobody@localhost
DirPort {host}:{dir_port}
TestingV3AuthVotingStartOffset {offset}
TestingV3AuthInitialVotingInterval {every}
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
"""

_COMMON = """\
TestingTorNetwork 1
DataDirectory {folder}
Nickname {name}
Address {host}
AssumeReachable 1
PathsNeededToBuildCircuits 0.25
RunAsDaemon 0
ShutdownWaitLength 0
AvoidDiskWrites 1
__DisablePredictedCircuits 1
Log notice stdout
ControlSocket {folder}/control
__OwningControllerProcess {owner}
"""


@dataclass(frozen=True, slots=True)
class TorSetting:
    """How a network is set up.

    Attributes:
        name: For the table.
        controls_congestion: Whether it uses Tor's congestion control at all.
        scheduler: Lines for every node.
        parameters: Of the consensus.
    """

    name: str
    controls_congestion: bool
    scheduler: str
    parameters: str


_VANILLA = "Schedulers Vanilla\n"
_LARGE = (
    "cc_cwnd_init=1000 cc_vegas_alpha_exit=744 cc_vegas_beta_exit=992 "
    "cc_vegas_gamma_exit=744 cc_vegas_delta_exit=1240 cc_vegas_sscap_exit=2400"
)
"""Four times Tor's own thresholds (proposal 324): on a round trip near zero its window is
what keeps it slow."""

SETTINGS = (
    TorSetting("Vanilla, larger congestion window", True, _VANILLA, _LARGE),  # noqa: FBT003
    TorSetting("Vanilla, default congestion control", True, _VANILLA, ""),  # noqa: FBT003
    TorSetting("KIST, default congestion control", True, "", ""),  # noqa: FBT003
    TorSetting("Vanilla, fixed windows", False, _VANILLA, "cc_alg=0"),  # noqa: FBT003
)


@dataclass(frozen=True, slots=True)
class TorNode:
    """One process to be.

    Attributes:
        name: Its nickname.
        place: Where it runs.
        folder: Its data, and its sockets.
        or_port: For other nodes; 0 for the client.
        dir_port: Of an authority, else 0.
    """

    name: str
    place: Place
    folder: Path
    or_port: int
    dir_port: int

    @property
    def control(self) -> Path:
        """Its control socket."""
        return self.folder / "control"

    @property
    def socks(self) -> Path:
        """The client's SOCKS socket."""
        return self.folder / "socks"

    def write_torrc(
        self, authorities: str, setting: TorSetting, first_consensus: int
    ) -> Path:
        """Write its settings.

        Args:
            authorities: DirAuthority lines of all.
            setting: How the network is set up.
            first_consensus: Unix time of it.
        """
        host = self.place.host
        text = _COMMON.format(
            folder=self.folder, name=self.name, host=host, owner=os.getpid()
        )
        text += authorities + setting.scheduler
        if self.name == CLIENT:
            text += f"SocksPort unix:{self.socks}\nClientRejectInternalAddresses 0\n"
            text += "__LeaveStreamsUnattached 1\n"
        else:
            text += f"SocksPort 0\nOrPort {host}:{self.or_port} IPv4Only\n"
        if self.dir_port:
            text += _VOTES.format(
                host=host,
                dir_port=self.dir_port,
                every=_FIRST_VOTES_EVERY,
                offset=first_consensus % _FIRST_VOTES_EVERY,
            )
            if setting.parameters:
                text += f"ConsensusParams {setting.parameters}\n"
        if self.name == "exit":
            text += "ExitRelay 1\nExitPolicyRejectPrivate 0\nExitPolicy accept *:*\n"
        elif self.name != CLIENT:
            text += "ExitRelay 0\nExitPolicy reject *:*\n"
        path = self.folder / "torrc"
        path.write_text(text, "utf-8")
        return path
