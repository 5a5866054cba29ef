"""psp relay, on the chain: register a relay, change it, lay it down."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli.chain_work.amounts import ether, parse_ether
from cli.chain_work.nodes import (
    find_endpoints,
    number_in,
    read_record,
    sign_entry,
    utc,
)
from cli.chain_work.onion import finish_rotation, new_onion_key
from cli.chain_work.paying import Facts, Paid
from cli.chain_work.standing import check_free, standing
from cli.commands.chain_options import (
    Anyway,
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
    open_wallet,
)
from cli.commands.chain_running import (
    OwnRelayOptions,
    Work,
    open_keys,
    relay_settings,
    run_paying,
)
from cli.commands.passphrases import passphrase_of
from cli.node_config import NodeConfig
from cli.output import note
from discovery.transactions.calls import NOBODY
from discovery.transactions.wallet import address_text, parse_address
from psp.crypto.primitives import x25519_public
from psp.errors import ConfigError
from psp.netdoc.node_entry import SignedNode, endpoint_text
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy

app = typer.Typer()
PANEL = "On the chain"

Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS:PORT",
        help="Public endpoint, once for each; where it listens, if left out.",
    ),
]
OperatorKey = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Key file of its hot account, which nominates it and holds little money; "
        "the settings' epochs.operator_key, if left out.",
    ),
]


@app.command(rich_help_panel=PANEL)
@bundled
def register(
    stake: Annotated[
        str, typer.Option(metavar="ETHER", help="Your stake in it, such as 1.5.")
    ],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    endpoint: Endpoints = None,
    operator_key: OperatorKey = None,
    *,
    anyway: Anyway = False,
) -> None:
    """Enter a relay in the registry, with a stake of the wallet's account.

    The entry is made from the relay's settings (--settings) and key files. It can be
    elected from the epoch after next on.
    """
    config = relay_settings(chain)
    keys = open_keys(config)
    wei = parse_ether(stake, "--stake")
    hot = _operator(config, operator_key)
    endpoints = find_endpoints(config, endpoint or [])

    async def work(has: Work) -> None:
        state = has.founded.state
        if wei < state.min_stake:
            raise ConfigError(
                f"--stake {stake} is below this network's smallest stake of "
                f"{ether(state.min_stake)}; nothing was sent"
            )
        stands = standing((await has.view()).nodes, keys.node_id)
        check_free(stands, has.account, kind="relay", is_forced=anyway)
        signed = sign_entry(has.chain.network, keys, endpoints, has.account)
        facts = [
            *_entry_facts(signed),
            ("stake", f"{ether(wei)}, counts from epoch {state.epoch + 1} on"),
            ("operator", "none" if hot is None else address_text(hot)),
        ]
        call = has.relays.register_node(signed, stake=wei)
        paid = await has.payer.pay(call, "Register a relay", facts)
        await _report_registration(has, output, paid, keys.node_id.hex(), hot)

    run_paying(chain, pay, output, work, sends_stake=True)


async def _report_registration(
    has: Work, output: OutputOptions, paid: Paid, identity: str, hot: bytes | None
) -> None:
    number = None
    if paid.outcome is not None:
        number = number_in(paid.outcome, "Relays", "NodeSet")
    figures = {**paid.figures, "number": number, "id": identity}
    sentence = paid.sentence
    if number is not None:
        sentence = f"Registered as node {number}. {paid.sentence}"
        if hot is not None:
            note(f"registered as node {number}; now its operator is named")
            call = has.relays.set_operator(number, hot)
            done = await has.payer.follow_up(call, "name its operator")
            figures["operator_set"] = done.figures
    output.report(sentence, figures)


@app.command(rich_help_panel=PANEL)
@bundled
def update(
    own: OwnRelayOptions,
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    endpoint: Endpoints = None,
) -> None:
    """Publish a relay's present keys and endpoints."""
    config = relay_settings(chain)
    keys = open_keys(config)
    endpoints = find_endpoints(config, endpoint or [])

    async def work(has: Work) -> None:
        number = (await has.own_node(own, keys)).number
        signed = sign_entry(has.chain.network, keys, endpoints, has.account)
        call = has.relays.update_node(number, signed)
        paid = await has.payer.pay(
            call, f"Change the record of node {number}", _entry_facts(signed)
        )
        output.report(paid.sentence, {**paid.figures, "number": number})

    run_paying(chain, pay, output, work)


@app.command("rotate-onion", rich_help_panel=PANEL)
@bundled
def rotate_onion(
    own: OwnRelayOptions,
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
) -> None:
    """Give a relay a new onion key; its operator's account may pay, too.

    The new key takes the place of the old one, which is kept beside it as previous-….
    Restart the relay then, with keys.previous_onion naming that file.
    """
    config = relay_settings(chain)
    keys = open_keys(config)
    secret = None
    if config.keys.passphrase_file is not None:
        secret = keyfiles.read_passphrase(config.keys.passphrase_file)
    elif keyfiles.needs_passphrase(config.keys.onion):
        secret = passphrase_of(config.keys.onion)

    async def work(has: Work) -> None:
        number = await has.own_number(own, keys)
        present = await read_record(has.chain, has.founded.state, number)
        if present.node_id != keys.node_id:
            raise ConfigError(f"node {number} is another relay than the settings'")
        private = (
            SystemEntropy().token(keyfiles.SEED_SIZE)
            if has.payer.is_dry
            else new_onion_key(config.keys, SystemEntropy(), secret)
        )
        record = replace(present, onion_key=x25519_public(private))
        figures: dict[str, object] = {"number": number, "sent": False}
        sentence = "The key was published by an earlier command."
        if record.onion_key != present.onion_key:
            signed = SignedNode.sign(has.chain.network, record, keys.identity)
            call = has.relays.rotate_onion(number, record.onion_key, signed.signature)
            facts = [("onion key", f"{record.onion_key.hex()}")]
            title = f"Change the onion key of node {number}"
            paid = await has.payer.pay(call, title, facts)
            figures |= paid.figures
            sentence = paid.sentence
        if not has.payer.is_dry:
            previous = finish_rotation(config.keys)
            figures["previous_onion"] = str(previous)
            note(f"now set keys.previous_onion to {previous} and restart the relay")
        output.report(sentence, figures)

    run_paying(chain, pay, output, work)


@app.command("set-operator", rich_help_panel=PANEL)
@bundled
def set_operator(
    own: OwnRelayOptions,
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    operator_key: OperatorKey = None,
    operator: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Or its address; none for nobody."),
    ] = None,
) -> None:
    """Name the hot account that nominates a relay and changes its onion key."""
    config = None if own.number else relay_settings(chain)
    keys = own.keys(chain)
    if operator is not None:
        hot: bytes | None = NOBODY if operator == "none" else parse_address(operator)
    else:
        hot = _operator(config, operator_key)
    if hot is None:
        raise ConfigError("whom? give --operator-key FILE or --operator ADDRESS")
    account = hot

    async def work(has: Work) -> None:
        number = (await has.own_node(own, keys)).number
        name = "nobody" if account == NOBODY else address_text(account)
        call = has.relays.set_operator(number, account)
        title = f"Name the operator of node {number}"
        paid = await has.payer.pay(call, title, [("operator", name)])
        output.report(paid.sentence, {**paid.figures, "number": number})

    run_paying(chain, pay, output, work)


@app.command(rich_help_panel=PANEL)
@bundled
def retire(
    own: OwnRelayOptions,
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    *,
    revoke: Annotated[
        bool,
        typer.Option(
            "--revoke", help="Its key is lost or stolen: it is dead for ever."
        ),
    ] = False,
) -> None:
    """Lay a relay down for ever; your stake in it starts unbonding."""
    keys = own.keys(chain)

    async def work(has: Work) -> None:
        node = await has.own_node(own, keys)
        head = await has.chain.endpoints.head()
        release = head.timestamp + has.founded.state.unbonding
        facts = [
            ("stake", f"{ether(node.stake)}, yours again from {utc(release)} on"),
            ("mind", "this cannot be undone"),
        ]
        if revoke:
            facts.append(("", "its identity never counts again, under any owner"))
        verb = "Revoke" if revoke else "Retire"
        calls = has.relays
        call = calls.revoke(node.number) if revoke else calls.retire(node.number)
        paid = await has.payer.pay(call, f"{verb} node {node.number}", facts)
        figures = {**paid.figures, "number": node.number, "release": release}
        output.report(paid.sentence, figures)

    run_paying(chain, pay, output, work)


def _entry_facts(signed: SignedNode) -> Facts:
    record = signed.record
    places = ", ".join(map(endpoint_text, record.endpoints))
    return [("identity", record.node_id.hex()), ("endpoints", places)]


def _operator(config: NodeConfig | None, key: Path | None) -> bytes | None:
    """Return the account of a relay's hot key; None if there is none."""
    if key is not None:
        return open_wallet(key).address
    epochs = None if config is None else config.epochs
    if epochs is None or epochs.operator_key is None:
        return None
    return open_wallet(epochs.operator_key, epochs.operator_passphrase_file).address
