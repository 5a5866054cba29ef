"""The chain's part of the demo's page: stakes against seats, epoch by epoch."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Chain = Mapping[str, Any]
"""The report's `chain`, as `cli.demo.report_chain` builds it."""

TEXT = (
    "Each relay's stake decides how often it is drawn, nothing else does: seats fall in "
    "proportion to stake. Filled dots are seats in the lists that were in force during "
    "the demo. Anybody can recompute a draw from the chain."
)
_MAX_EPOCHS = 24
"""Columns that fit."""
_ROW = 26
_LEFT = 330
_TOP = 46


def stake_picture(chain: Chain) -> str:
    """Return stakes as bars, and the lists of each epoch as dots beside them."""
    nodes: Sequence[Mapping[str, Any]] = chain["nodes"]
    if not nodes:
        return "<p>Nobody is registered.</p>"
    epochs = list(chain["epochs"])[-_MAX_EPOCHS:]
    widest = max(float(node["share"]) for node in nodes)
    step = min(40.0, 480 / max(1, len(epochs)))
    out = [_heads(epochs, step)]
    for row, node in enumerate(nodes):
        y = _TOP + _ROW * row
        out.append(_bar(node, y, widest))
        out += [
            _dot(
                _LEFT + step * (column + 0.5), y, is_seat=node["id"] in each["elected"]
            )
            for column, each in enumerate(epochs)
        ]
    height = _TOP + _ROW * len(nodes)
    return (
        f"<svg viewBox='0 0 960 {height}' role='img' aria-label='Stakes and seats'>"
        f"{''.join(out)}</svg>{_summary(chain)}"
    )


def _heads(epochs: Sequence[Mapping[str, Any]], step: float) -> str:
    heads = [
        "<text class='soft' x='0' y='18'>relay</text>",
        "<text class='soft' x='96' y='18'>stake</text>",
        f"<text class='soft' x='{_LEFT}' y='18'>seats in epoch</text>",
        "<text class='soft' x='940' y='18' text-anchor='end'>seats: had / expected</text>",
    ]
    every = max(1, -(-len(epochs) // 12))
    heads += [
        f"<text class='soft' x='{_LEFT + step * (i + 0.5):.0f}' y='34' "
        f"text-anchor='middle'>{each['epoch']}</text>"
        for i, each in enumerate(epochs)
        if i % every == 0
    ]
    return "".join(heads)


def _bar(node: Mapping[str, Any], y: float, widest: float) -> str:
    width = 150 * float(node["share"]) / widest
    lists, expected = node["lists"], float(node["expected_seats"])
    colour = "var(--ok)" if node["is_elected"] else "var(--line)"
    return (
        f"<text x='0' y='{y + 4}'>{escape(str(node['id'])[:8])}</text>"
        f"<rect x='96' y='{y - 8}' width='{width:.0f}' height='14' fill='{colour}'/>"
        f"<text class='soft' x='{102 + width:.0f}' y='{y + 4}'>"
        f"{float(node['stake_ether']):g} ({float(node['share']):.0%})</text>"
        f"<text class='soft' x='940' y='{y + 4}' text-anchor='end'>"
        f"{lists} / {expected:.1f} a list</text>"
    )


def _dot(x: float, y: float, *, is_seat: bool) -> str:
    fill = "var(--ok)" if is_seat else "none"
    return (
        f"<circle cx='{x:.0f}' cy='{y - 1}' r='5' fill='{fill}' stroke='var(--line)'/>"
    )


def _summary(chain: Chain) -> str:
    replay = chain["replay"]
    where = (
        f"Chain {chain['chain_id']} ({escape(str(chain['kind']))}), registry "
        f"<code>{escape(str(chain['registry']))}</code>, block {chain['height']}, epoch "
        f"{chain['epoch']}; {chain['seats']} seats for {chain['epoch_length_s']} s each."
    )
    lines = [
        where,
        "Both clients checked the list, its proofs and every signature."
        if chain["verified"]
        else "<span class='bad'>Not both clients could check the list.</span>",
    ]
    if replay is not None:
        lines.append(
            f"The draw of epoch {replay['epoch']} was computed again from the chain and "
            + (
                "matches."
                if replay["matches"]
                else "<b class='bad'>does not match.</b>"
            )
        )
    if chain["stopped"]:
        lines.append("The chain was killed in mid-call.")
    lookups = chain["lookups"]
    if lookups.get("made"):
        lines.append(
            f"{lookups['made']} look-ups during the call, {lookups['failed']} failed, "
            f"the slowest took {lookups['slowest_ms']:.0f} ms."
        )
    return "<p>" + " ".join(lines) + "</p>"
