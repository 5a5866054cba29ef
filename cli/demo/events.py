"""What the demo's users said while it ran, sorted for the report."""

from typing import Any

from cli.demo.processes import Event, Process


def last(process: Process, name: str) -> Event:
    """Return the newest event of this name."""
    return [event for event in process.events if event["event"] == name][-1]


def steps(alice: Process, bob: Process) -> list[dict[str, Any]]:
    """Return the steps of setting up, as the timeline shows them."""
    names = {"first_frame": "first frame decoded", "in_call": "media negotiates"}
    return [
        {
            "who": process.name.lower(),
            "what": event.get("what") or names[event["event"]],
            "at": event["at"],
        }
        for process in (alice, bob)
        for event in process.events
        if event["event"] in {"step", *names}
    ]


def legs(alice: Process, bob: Process) -> list[dict[str, Any]]:
    """Return the legs that both sides had while the call was up, oldest first."""
    seen: dict[str, dict[str, Any]] = {}
    for name, process in (("alice", alice), ("bob", bob)):
        for event in process.events:
            if event["event"] == "legs":
                for leg, path in event["legs"].items():
                    seen.setdefault(leg, {"leg": int(leg)})[name] = path
    whole = [leg for leg in seen.values() if "alice" in leg and "bob" in leg]
    return sorted(whole, key=lambda leg: leg["leg"])
