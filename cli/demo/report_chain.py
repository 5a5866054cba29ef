"""What the demo found out about its chain: who was elected, and whether it was checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.demo.chain import FoundedChain
from discovery.devchain.config import WEI


@dataclass(frozen=True, slots=True)
class Replayed:
    """A past draw, computed again from what everybody can read.

    Attributes:
        epoch: Of the list.
        elected: Numbers of the nodes, by that computation.
        matches: Whether the chain's own list has the same.
    """

    epoch: int
    elected: tuple[int, ...]
    matches: bool


@dataclass(frozen=True, slots=True)
class ChainFindings:
    """What happened on the chain while the demo ran.

    Attributes:
        founded: The contracts, and the stake of each relay by number.
        nodes: Id of each relay, in hex, by number.
        epochs: What the caller saw of each list in force, oldest first.
        stopped_at: When the chain was killed, on the machine's clock; 0 if it was not.
        replayed: The last draw, computed again; None if the chain was gone by then.
    """

    founded: FoundedChain
    nodes: Sequence[str]
    epochs: Sequence[Mapping[str, Any]] = ()
    stopped_at: float = 0.0
    replayed: Replayed | None = None


@dataclass(slots=True)
class ChainReport:
    """The report's `chain`, and what is wrong with it.

    Attributes:
        fields: For JSON.
        failures: In words.
    """

    fields: dict[str, Any]
    failures: list[str] = field(default_factory=list)


def chain_report(
    findings: ChainFindings, alice: Mapping[str, Any], bob: Mapping[str, Any]
) -> ChainReport:
    """Return what is known of the chain at the end of the call.

    Args:
        findings: Of the whole demo.
        alice: Her last report.
        bob: His.
    """
    founded = findings.founded
    seen = [side["chain"] or {} for side in (alice, bob)]
    last = seen[1]
    elected = list(last.get("elected", ()))
    report = ChainReport(
        {
            "kind": "embedded",
            "chain_id": founded.network.chain_id,
            "registry": "0x" + founded.network.registry.hex(),
            "epoch_length_s": founded.epoch_length,
            "seats": founded.seats,
            "epoch": last.get("epoch", 0),
            "height": last.get("height", 0),
            "elected": elected,
            "verified": all(side.get("verified") for side in seen),
            "sources": [side.get("source") for side in seen],
            "stopped": bool(findings.stopped_at),
            "replay": _replay(findings),
            "epochs": [
                {"epoch": event["epoch"], "elected": event["elected"]}
                for event in findings.epochs
            ],
            "nodes": _nodes(findings, elected),
            "lookups": bob.get("lookups", {}),
        }
    )
    _judge(report)
    return report


def _replay(findings: ChainFindings) -> dict[str, Any] | None:
    replayed = findings.replayed
    if replayed is None:
        return None
    return {
        "epoch": replayed.epoch,
        "elected": sorted(findings.nodes[n - 1] for n in replayed.elected),
        "matches": replayed.matches,
    }


def _nodes(findings: ChainFindings, elected: Sequence[str]) -> list[dict[str, Any]]:
    stakes = findings.founded.stakes
    total = sum(stakes)
    seen = [event["elected"] for event in findings.epochs]
    return [
        {
            "id": node,
            "number": number,
            "stake_ether": stake / WEI,
            "share": round(stake / total, 4),
            "expected_seats": round(findings.founded.seats * stake / total, 2),
            "is_elected": node in elected,
            "lists": sum(node in each for each in seen),
        }
        for number, (node, stake) in enumerate(
            zip(findings.nodes, stakes, strict=True), 1
        )
    ]


def _judge(report: ChainReport) -> None:
    fields, failures = report.fields, report.failures
    if not fields["verified"]:
        failures.append("the list of the chain was not proven by both clients")
    if not fields["elected"]:
        failures.append("no discovery node was elected")
    replay = fields["replay"]
    if replay is not None:
        if not replay["matches"]:
            failures.append("the election cannot be recomputed from the chain")
        if replay["epoch"] == fields["epoch"] and (
            replay["elected"] != sorted(fields["elected"])
        ):
            failures.append("the clients' list is not the one that was drawn")
    lookups = fields["lookups"]
    if lookups.get("failed"):
        failures.append(f"{lookups['failed']} of {lookups['made']} look-ups failed")
