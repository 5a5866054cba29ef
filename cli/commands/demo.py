"""psp demo: a whole network and a call on this machine."""

import asyncio
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import ExitCode
from cli.output import err, out, print_error, print_json, print_table

if TYPE_CHECKING:
    from cli.demo.report import Report

_DEFAULT_OUT = Path("demo-out")


class Codec(enum.StrEnum):
    """Video codecs of a call."""

    VP8 = "vp8"
    H264 = "h264"


def demo(
    input_file: Annotated[
        Path | None,
        typer.Option("--input", help="What Alice plays: anything PyAV reads."),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(min=2, max=3600, help="Seconds to play; a file is looped or cut."),
    ] = 10.0,
    kill_relay: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="Kill a relay in mid-call: entry, middle, rendezvous, presence, "
            "guard-of-callee, layer2-of-callee or middle-of-callee.",
        ),
    ] = None,
    out_dir: Annotated[
        Path, typer.Option("--out", help="Where the results go.")
    ] = _DEFAULT_OUT,
    base_port: Annotated[
        int | None,
        typer.Option(
            min=1024, max=65000, help="First of 12 UDP ports; any, if left out."
        ),
    ] = None,
    relays: Annotated[int, typer.Option(min=8, max=32, help="How many relays.")] = 12,
    codec: Annotated[Codec, typer.Option(help="Video codec of the call.")] = Codec.VP8,
    epoch_length: Annotated[
        int,
        typer.Option(
            min=20,
            max=86_400,
            help="Seconds for which discovery nodes are elected on the demo's chain.",
        ),
    ] = 60,
    lookup_every: Annotated[
        float,
        typer.Option(
            min=0, max=60, help="Seconds between Bob's look-ups in the call; 0: none."
        ),
    ] = 0.0,
    *,
    stop_chain: Annotated[
        bool,
        typer.Option("--stop-chain", help="Kill the chain and its endpoints mid-call."),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on the last line.")
    ] = False,
) -> None:
    """Run a chain, 12 relays, Alice and Bob on this machine, and place a live call.

    The relays elect their discovery nodes on the chain. Alice registers her presence, Bob looks her up and calls; both play video and sound
    to each other. Writes received.mkv (what Bob saw), report.html and report.json.
    """
    from cli.demo.media_file import InputError  # noqa: PLC0415
    from cli.demo.roles import KillRole  # noqa: PLC0415 - media takes a second to load
    from cli.demo.runner import DemoOptions, run_demo  # noqa: PLC0415

    try:
        options = DemoOptions(
            input_file=input_file,
            duration=duration,
            kill=KillRole.parse(kill_relay),
            out_dir=out_dir,
            base_port=base_port,
            relays=relays,
            codec=codec.value,
            epoch_length=epoch_length,
            lookup_every=lookup_every,
            stop_chain=stop_chain,
        )
        report = asyncio.run(run_demo(options, quiet=json_output))
    except InputError as error:
        print_error(str(error))
        raise typer.Exit(ExitCode.INPUT) from None
    except asyncio.CancelledError:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if json_output:
        print_json(report)
    else:
        _print_report(report, out_dir)
    raise typer.Exit(ExitCode.OK if report["ok"] else ExitCode.FAILED)


def demo_peer(
    folder: Annotated[Path, typer.Argument()],
    name: Annotated[str, typer.Argument()],
    media: Annotated[Path, typer.Argument()],
    seconds: Annotated[float, typer.Option()],
    codec: Annotated[Codec, typer.Option()] = Codec.VP8,
    record: Annotated[Path | None, typer.Option()] = None,
    lookup_every: Annotated[float, typer.Option()] = 0.0,
) -> None:
    """Be Alice or Bob (started by psp demo)."""
    from cli.demo.peer import PeerOptions, run_peer  # noqa: PLC0415
    from psp.runtime.logs import LogOutput, configure, parse_level  # noqa: PLC0415
    from psp.runtime.system import harden, new_event_loop  # noqa: PLC0415

    configure(LogOutput(parse_level("info"), is_json=True))
    harden()
    options = PeerOptions(
        folder, name, media, seconds, codec.value, record, lookup_every
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run_peer(options))


def _print_report(report: "Report", out_dir: Path) -> None:
    from cli.demo.report import table_rows  # noqa: PLC0415

    print_table("The call", ["", "Alice to Bob", "Bob to Alice"], table_rows(report))
    verdict = "[bold green]ok[/]" if report["ok"] else "[bold red]not ok[/]"
    out.print(f"\n{verdict}: received.mkv, report.html, report.json in {out_dir}/")
    for failure in report["failures"]:
        err.print(f"[red]-[/] {failure}", highlight=False)
