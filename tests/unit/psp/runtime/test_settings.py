"""Settings (psp/runtime/settings.py, schema.py)."""

import enum
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import ConfigError
from psp.runtime.settings import load, sample, unknown_variables, variables
from psp.units import Seconds


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen.

    Attributes:
        port: UDP port.
        hosts: Addresses, several if wanted.
    """

    port: int = 9_001
    hosts: tuple[str, ...] = ("0.0.0.0",)

    def __post_init__(self) -> None:
        if self.port < 1:
            raise ConfigError(f"port = {self.port}: use 1 … 65535")


@dataclass(frozen=True, slots=True)
class Extra:
    """Not everybody has one.

    Attributes:
        name: What it is called.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a test.

    Attributes:
        state: Directory for state.
        colour: Of the light.
        wait: How long.
        is_open: Whether it is.
        note: Anything; nothing if left out.
        ports: Some numbers.
        listen: Where to listen.
        extra: An optional table.
        hook: Only for callers.
    """

    state: Path
    colour: Colour = Colour.RED
    wait: Seconds = Seconds(1.5)
    is_open: bool = False
    note: str | None = None
    ports: tuple[int, ...] = ()
    listen: Listen = field(default_factory=Listen)
    extra: Extra | None = None
    hook: Callable[[], None] | None = None


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        path = tmp_path / "relay.toml"
        path.write_text(text)
        return path

    return write_file


def test_everything_can_be_set_in_the_file(write):
    path = write(
        """
        state = "var"
        colour = "blue"
        wait = 2
        is_open = true
        note = "hello"
        ports = [1, 2]
        [listen]
        port = 9002
        hosts = ["::1", "127.0.0.1"]
        [extra]
        name = "x"
        """
    )

    assert load(Settings, path) == Settings(
        path.parent / "var",
        Colour.BLUE,
        Seconds(2.0),
        is_open=True,
        note="hello",
        ports=(1, 2),
        listen=Listen(9_002, ("::1", "127.0.0.1")),
        extra=Extra("x"),
    )
    assert isinstance(load(Settings, path).wait, float)


def test_defaults_stand_where_nothing_is_said(write):
    assert load(Settings, write('state = "/s"')) == Settings(Path("/s"))


def test_environment_overrides_the_file(write):
    path = write('state = "var"\n[listen]\nport = 1')

    loaded = load(
        Settings,
        path,
        {
            "PSP_STATE": "here",
            "PSP_LISTEN_PORT": "7",
            "PSP_LISTEN_HOSTS": "::1, 127.0.0.1,",
            "PSP_IS_OPEN": "Yes",
            "PSP_WAIT": "0.25",
            "PSP_NOTE": "",
            "PSP_EXTRA_NAME": "from outside",
            "PSP_PORTS": "3,4",
        },
    )

    assert loaded == Settings(
        Path("here"),
        wait=Seconds(0.25),
        is_open=True,
        ports=(3, 4),
        listen=Listen(7, ("::1", "127.0.0.1")),
        extra=Extra("from outside"),
    )


def test_no_file_is_fine_when_nothing_is_required():
    assert load(Listen) == Listen()
    assert load(Listen, None, {"PSP_PORT": "5"}) == Listen(5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('stat = "x"', "unknown key stat; did you mean state?"),
        ('state = "x"\nqqq = 1', "unknown key qqq; known: ["),
        (
            'state = "x"\n[listen]\nprot = 1',
            "unknown key listen.prot; did you mean port?",
        ),
        ('state = "x"\nhook = 1', "unknown key hook"),
        (
            "",
            "state is missing; set it, or PSP_STATE, to a path (Directory for state.)",
        ),
        ('state = "x"\n[extra]', "extra.name is missing; set it, or PSP_EXTRA_NAME"),
        ("state = 1", "state = 1: must be a path"),
        ('state = "x"\nwait = "2"', "wait = '2': must be a number"),
        ('state = "x"\nwait = true', "wait = True: must be a number"),
        ('state = "x"\nwait = inf', "wait = inf: must be a number"),
        ('state = "x"\nis_open = 1', "is_open = 1: must be true or false"),
        ('state = "x"\ncolour = "green"', 'must be one of "red", "blue"'),
        (
            'state = "x"\nports = 1',
            "ports = 1: must be a list, each item a whole number",
        ),
        ('state = "x"\nports = [1.5]', "ports = [1.5]: must be a whole number"),
        ('state = "x"\nlisten = 1', "listen = 1: must be a table"),
        ('state = "x"\n[listen]\nport = 0', "[listen] port = 0: use 1 … 65535"),
        ("state = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(write, text, message):
    path = write(text)

    with pytest.raises(ConfigError) as error:
        load(Settings, path)

    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "fix"),
    [
        ("PSP_LISTEN_PORT", "many", "must be a whole number"),
        ("PSP_WAIT", "nan", "must be a number"),
        ("PSP_IS_OPEN", "perhaps", "must be true or false"),
        ("PSP_PORTS", "1,x", "must be a whole number"),
    ],
)
def test_wrong_variable_is_named(write, name, text, fix):
    with pytest.raises(ConfigError, match=f"{name}='{text}': {fix}"):
        load(Settings, write('state = "x"'), {name: text})


def test_a_variable_that_breaks_a_rule_of_its_table_is_named(write):
    path = write('state = "x"\n[listen]\nport = 1')

    with pytest.raises(
        ConfigError, match=r"toml with PSP_LISTEN_PORT: \[listen\] port"
    ):
        load(Settings, path, {"PSP_LISTEN_PORT": "0"})


def test_missing_directory_and_giant_files_are_explained(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory"):
        load(Settings, tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(Settings, tmp_path)
    giant = tmp_path / "giant.toml"
    giant.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        load(Settings, giant)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load(Settings, binary)


@given(st.binary(max_size=200))
def test_any_file_loads_or_is_a_config_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)

    with suppress(ConfigError):
        load(Listen, path)


def test_variables_are_listed_and_strangers_reported():
    known = variables(Settings)

    assert known["PSP_LISTEN_PORT"] == "listen.port"
    assert "PSP_HOOK" not in known
    assert unknown_variables(
        Settings, {"PSP_LISTN_PORT": "", "PSP_STATE": "", "X": ""}
    ) == ["PSP_LISTN_PORT"]


def test_sample_documents_every_key_and_changes_nothing(write):
    text = sample(Settings)

    assert text.startswith("# Settings of a test.\n")
    assert "# How long.\n# wait = 1.5\n" in text
    assert "# Where to listen.\n[listen]\n" in text
    assert '# hosts = ["0.0.0.0"]\n' in text
    assert "# note =\n" in text
    assert 'state = ""  # must be set: a path\n' in text
    assert load(
        Settings, write(text.replace('state = ""', 'state = "/s"'))
    ) == Settings(Path("/s"))


def test_sample_shows_the_defaults_in_toml():
    lines = sample(Listen).splitlines()
    settings = [line[2:] for line in lines if " = " in line]

    assert tomllib.loads("\n".join(settings)) == {"port": 9_001, "hosts": ["0.0.0.0"]}
