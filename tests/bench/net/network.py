"""Network namespaces with a network between them that delays and loses packets.

::

    psp-7-0-r0 | psp0 10.1.0.1      10.2.0.1 psp0 | psp-7-0-r1
               +------> switch.c, one process ----+

Each namespace has its own loopback and the device ``psp0``, and no way out. The switch is
in user space, as not every kernel has netem, and is compiled when a network starts.
"""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.bench.place import Place

DEVICE = "psp0"
NAMESPACES = Path("/run/netns")
_SOURCE = Path(__file__).with_name("switch.c")
_LEFT_OVER = re.compile(r"psp-(\d+)-\d+-")
_CLONE_NEWNET = 0x4000_0000
_ENDS_WITHIN = 5.0
_numbers = itertools.count()


class NotPossibleError(Exception):
    """This machine or this user cannot have such a network; the text says why."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What becomes of packets in one direction of a link.

    Attributes:
        delay: Seconds that each takes.
        loss: Part of the packets that is lost, 0 … 1, each by itself.
        jitter: Seconds added at most, uniformly; packets overtake each other.
        rate: Bits per second that a sender can send, to all together; 0 for no limit.
        queue: Seconds that a packet waits for its turn at most, else it is dropped.
    """

    delay: float = 0.0
    loss: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    queue: float = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """Packets since the network started.

    Attributes:
        carried: Handed over to their namespace.
        lost: Lost on purpose.
        full: Dropped because the queue before a rate was full.
        refused: Dropped because the kernel did not take them from the switch.
        overrun: Dropped because the switch was too slow: these spoil a measurement.
        octets: Bytes of those carried, IP headers included.
    """

    carried: int
    lost: int
    full: int
    refused: int
    overrun: int
    octets: int


class Network:
    """A full mesh of links between namespaces; use as a context manager."""

    def __init__(
        self, names: Sequence[str], impairment: Impairment | None = None, *, seed: int
    ) -> None:
        """Plan a network; entering it makes it.

        Args:
            names: Of its nodes, 1 … 100.
            impairment: Of every link in both directions; none if None.
            seed: Decides which packets are lost.
        """
        self._impairment = impairment or Impairment()
        self._seed = seed
        prefix = f"psp-{os.getpid()}-{next(_numbers)}-"
        self._namespaces = {name: prefix + name for name in names}
        self._stack = contextlib.ExitStack()
        self._switch: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Make the network.

        Raises:
            NotPossibleError: Without root, iproute2 or a C compiler.
        """
        _check_possible()
        _remove(_left_over())
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.callback(_remove, list(self._namespaces.values()))
            _ip([f"netns add {namespace}" for namespace in self._namespaces.values()])
            stack.callback(self._stop_switch)
            self._start_switch(_compile(folder))
            for number, namespace in enumerate(self._namespaces.values(), 1):
                _ip(
                    [
                        "link set lo up",
                        f"addr add 10.{number}.0.1/8 dev {DEVICE}",
                        f"link set {DEVICE} up mtu 1500 txqueuelen 10000",
                    ],
                    namespace,
                )
            for name in self._namespaces:
                with self.inside(name):  # or TCP begins with what it learnt last time
                    Path("/proc/sys/net/ipv4/tcp_no_metrics_save").write_text("1")
            self.impair(self._impairment)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def place(self, name: str) -> Place:
        """Return where a node is."""
        number = list(self._namespaces).index(name) + 1
        return Place(f"10.{number}.0.1", self._namespaces[name])

    def command(self, name: str, *command: str) -> list[str]:
        """Return the command that runs ``command`` in a node's namespace."""
        return ["nsenter", f"--net={NAMESPACES / self._namespaces[name]}", *command]

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Move this thread into a node's namespace; sockets opened there stay there."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            theirs = os.open(NAMESPACES / self._namespaces[name], os.O_RDONLY)
            try:
                _set_namespace(theirs)
            finally:
                os.close(theirs)
            try:
                yield
            finally:
                _set_namespace(own)
        finally:
            os.close(own)

    def impair(
        self,
        impairment: Impairment,
        source: str | None = None,
        destination: str | None = None,
    ) -> None:
        """Change what becomes of packets from now on; None stands for every node."""
        names = list(self._namespaces)
        ends = [
            0 if name is None else names.index(name) + 1
            for name in (source, destination)
        ]
        self._ask(
            f"impair {ends[0]} {ends[1]} {impairment.delay * 1e6} {impairment.loss * 1e6}"
            f" {impairment.jitter * 1e6} {impairment.rate / 1e3} {impairment.queue * 1e6}"
        )

    def counts(self) -> Counts:
        """Return what became of packets so far."""
        carried, lost, full, refused, octets = map(int, self._ask("counts").split())
        overrun = sum(map(self._overrun, self._namespaces))
        return Counts(carried, lost, full, refused, overrun, octets)

    def cpu_seconds(self) -> float:
        """Return what the switch has used."""
        assert self._switch is not None
        fields = Path(f"/proc/{self._switch.pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _overrun(self, name: str) -> int:
        with self.inside(name):
            table = Path("/proc/thread-self/net/dev").read_text()
        (row,) = (line for line in table.splitlines() if f"{DEVICE}:" in line)
        return int(row.split()[12])

    def _start_switch(self, program: Path) -> None:
        self._switch = subprocess.Popen(
            [program, str(self._seed), *self._namespaces.values()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def _stop_switch(self) -> None:
        if self._switch is not None:
            assert self._switch.stdin is not None
            assert self._switch.stdout is not None
            self._switch.stdin.close()
            self._switch.stdout.close()
            self._switch.wait(_ENDS_WITHIN)
            self._switch = None

    def _ask(self, line: str) -> str:
        assert self._switch is not None
        assert self._switch.stdin is not None
        self._switch.stdin.write(line + "\n")
        self._switch.stdin.flush()
        return self._expect()

    def _expect(self, expected: str | None = None) -> str:
        assert self._switch is not None
        assert self._switch.stdout is not None
        line = self._switch.stdout.readline().strip()
        if not line or line == "?" or (expected and line != expected):
            raise NotPossibleError(f"the switch said {line!r}; its reason is above")
        return line


def _check_possible() -> None:
    missing = [tool for tool in ("ip", "cc", "nsenter") if shutil.which(tool) is None]
    if missing:
        words = " and ".join(missing)
        raise NotPossibleError(f"no {words}: install iproute2, util-linux and gcc")
    if os.geteuid() != 0:
        raise NotPossibleError("network namespaces need root")
    if not Path("/dev/net/tun").exists():
        raise NotPossibleError("this kernel has no /dev/net/tun")


def _compile(folder: Path) -> Path:
    program = folder / "switch"
    command = ["cc", "-O2", "-o", str(program), str(_SOURCE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotPossibleError(f"cc does not take switch.c: {done.stderr.strip()}")
    return program


def _ip(lines: list[str], namespace: str | None = None) -> None:
    """Have ``ip`` obey; its options come before its commands."""
    options = [] if namespace is None else ["-n", namespace]
    done = subprocess.run(
        ["ip", *options, "-batch", "-"],
        check=False,
        input="\n".join(lines),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = next(iter(done.stderr.splitlines()), "no reason given")
        hint = (
            ": root lacks CAP_SYS_ADMIN or CAP_NET_ADMIN, as in most containers"
            if "not permitted" in reason
            else ""
        )
        raise NotPossibleError(f"ip refuses: {reason}{hint}")


def _left_over() -> list[str]:
    """Return the namespaces of runs that were killed."""
    names = [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.exists() else []
    owners = ((name, _LEFT_OVER.match(name)) for name in names)
    return [
        name
        for name, owner in owners
        if owner is not None and not Path("/proc", owner[1]).exists()
    ]


def _remove(namespaces: Sequence[str]) -> None:
    """Delete namespaces and end whatever still runs in them."""
    for namespace in namespaces:
        inside = subprocess.run(
            ["ip", "netns", "pids", namespace],
            check=False,
            capture_output=True,
            text=True,
        )
        for pid in {int(word) for word in inside.stdout.split()} - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(
            ["ip", "netns", "delete", namespace], check=False, capture_output=True
        )


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
