"""Which sockets a process holds, as the kernel's own tables tell.

``/proc/PID/net`` shows the network namespace of that process, so this can be read from
outside of it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TABLES = {
    "udp": 9,
    "udp6": 9,
    "udplite": 9,
    "udplite6": 9,
    "tcp": 9,
    "tcp6": 9,
    "raw": 9,
    "raw6": 9,
    "icmp": 9,
    "icmp6": 9,
    "packet": 8,
    "unix": 6,
}
"""In which column of which table the inode stands."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The sockets of one process at one time.

    Attributes:
        time: Unix seconds.
        ports: Local ports of the sockets in each table that has any of them.
        unnamed: Sockets of some other kind.
        tcp_to: Remote ports of its TCP sockets.
    """

    time: float
    ports: dict[str, list[int]] = field(default_factory=dict)
    unnamed: int = 0
    tcp_to: frozenset[int] = frozenset()


def find(folder: Path) -> dict[str, int]:
    """Return the processes of the demo's users, by name."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_text().split("\0")
            if "demo-peer" in arguments and str(folder) in "\0".join(arguments):
                (name,) = {"alice", "bob"}.intersection(arguments)
                found[name] = int(process.name)
    return found


def look(pid: int, now: float) -> Sockets:
    """Return what a process holds.

    Raises:
        OSError: If it has ended.
    """
    held = set(_held(pid))
    rows = {table: list(_rows(pid, table)) for table in TABLES}
    held &= set(_held(pid))  # those that were open all the time
    ports: dict[str, list[int]] = {}
    tcp_to: set[int] = set()
    for table, entries in rows.items():
        for inode, port, remote in entries:
            if inode in held:
                held.discard(inode)
                ports.setdefault(table, []).append(port)
                if table.startswith("tcp"):
                    tcp_to.add(remote)
    return Sockets(now, ports, len(held), frozenset(tcp_to))


def _held(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = str(link.readlink())
            if target.startswith("socket:["):
                yield target[8:-1]


def _rows(pid: int, table: str) -> Iterator[tuple[str, int, int]]:
    path = Path(f"/proc/{pid}/net/{table}")
    if not path.exists():
        return  # not in this kernel
    for line in path.read_text().splitlines()[1:]:
        columns = line.split()
        is_inet = TABLES[table] == 9
        ends = columns[1:3] if is_inet else ("0", "0")
        local, remote = (int(end.rpartition(":")[2], 16) for end in ends)
        yield columns[TABLES[table]], local, remote
