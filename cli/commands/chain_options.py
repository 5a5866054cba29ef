"""Options that the commands on the chain share, each written down once.

A command names a bundle among its parameters and gets all of its options::

    @app.command()
    @bundled
    def status(chain: ChainOptions, output: OutputOptions) -> None: ...

Secrets are never arguments, where other processes read them: passphrases are asked for or
read from a private file (R-SEC-1).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from cli.chain_work.amounts import parse_ether, parse_gwei
from cli.chain_work.chain import Chain
from cli.chain_work.paying import Payer, Terms
from cli.chain_work.target import ChainTarget, find_target
from cli.commands.passphrases import passphrase_of
from cli.output import out, print_json
from discovery.transactions.fees import FeeLimits
from discovery.transactions.wallet import Wallet

_CHAIN = "Which chain"
_MONEY = "Who pays, and how much"

Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway", help="Also if another's record of this identity counts now."
    ),
]


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """Which chain and which network."""

    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="Settings that name the network: a relay's, a client's, or what "
            "psp chain deploy prints.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="An endpoint, once for each; instead of the settings'. One that holds a "
            "secret belongs into settings.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    chain_id: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            help="The chain's id.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    registry: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The network's registry.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    quorum: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many endpoints must agree; more than half, if left out.",
            rich_help_panel=_CHAIN,
        ),
    ] = None

    def target(self) -> ChainTarget:
        """Return what was named.

        Raises:
            ConfigError: If that is not enough, or makes no sense.
        """
        return find_target(
            self.settings_file,
            rpc=tuple(self.rpc or ()),
            chain_id=self.chain_id,
            registry=self.registry,
            quorum=self.quorum,
        )


@dataclass(frozen=True, slots=True)
class PayOptions:
    """Which account pays, how much at most, and whether to ask."""

    wallet_file: Annotated[
        Path,
        typer.Option(
            "--wallet",
            metavar="FILE",
            help="Key file of the account (psp wallet create).",
            rich_help_panel=_MONEY,
        ),
    ]
    wallet_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A private file with its passphrase; asked for, if left out.",
            rich_help_panel=_MONEY,
        ),
    ] = None
    max_fee: Annotated[
        str,
        typer.Option(
            metavar="GWEI",
            help="The most that is paid for a unit of gas.",
            rich_help_panel=_MONEY,
        ),
    ] = "100"
    max_cost: Annotated[
        str,
        typer.Option(
            metavar="ETHER",
            help="The most that one transaction may cost in fees.",
            rich_help_panel=_MONEY,
        ),
    ] = "0.1"
    is_confirmed: Annotated[
        bool,
        typer.Option("--yes", help="Send without asking.", rich_help_panel=_MONEY),
    ] = False
    is_dry: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what it would cost and do; send nothing.",
            rich_help_panel=_MONEY,
        ),
    ] = False

    def open(self) -> Wallet:
        """Open the account.

        Raises:
            ConfigError: If its key file or passphrase is missing or wrong.
        """
        return open_wallet(self.wallet_file, self.wallet_passphrase_file)

    def terms(self, output: "OutputOptions") -> Terms:
        """Return how it pays.

        Raises:
            ConfigError: If an amount makes no sense.
        """
        most = parse_ether(self.max_cost, "--max-cost")
        limits = FeeLimits(
            max_fee_per_gas=parse_gwei(self.max_fee, "--max-fee"),
            max_cost=most,
            max_cost_per_period=most,
        )
        return Terms(
            limits,
            is_confirmed=self.is_confirmed,
            is_dry=self.is_dry,
            is_quiet=output.json_output,
        )

    def payer(self, chain: Chain, wallet: Wallet, output: "OutputOptions") -> Payer:
        """Return the account, ready to pay on a chain."""
        return Payer(chain, wallet, self.wallet_file, self.terms(output))


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the result is printed."""

    json_output: Annotated[
        bool, typer.Option("--json", help="Print the result as one line of JSON.")
    ] = False

    def report(self, sentence: str, figures: dict[str, object]) -> None:
        """Print a result, for people or for programs."""
        if self.json_output:
            print_json(figures)
        else:
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of the bundles among its parameters."""
    signature = inspect.signature(command, eval_str=True)
    bundles: dict[str, Any] = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if is_dataclass(parameter.annotation)
    }

    def run(**given: Any) -> None:  # noqa: ANN401 - what typer has parsed
        for name, bundle in bundles.items():
            values = {each.name: given.pop(each.name) for each in fields(bundle)}
            given[name] = bundle(**values)
        command(**given)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name in bundles:
            parameters += _options(bundles[parameter.name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__module__ = command.__module__
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by inspect
    return run


def _options(bundle: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - a dataclass
    hints = get_type_hints(bundle, include_extras=True)
    signature = inspect.signature(bundle)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=signature.parameters[each.name].default,
            annotation=hints[each.name],
        )
        for each in fields(bundle)
    ]


def open_wallet(path: Path, passphrase_file: Path | None = None) -> Wallet:
    """Open an account; asks for its passphrase if there is one and no file with it.

    Raises:
        ConfigError: If its key file or passphrase is missing or wrong.
    """
    return Wallet.open(path, passphrase=passphrase_of(path, passphrase_file))
