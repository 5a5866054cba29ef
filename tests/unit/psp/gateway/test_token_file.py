"""The token's file (psp/gateway/token_file.py)."""

import stat

import pytest

from psp.errors import ConfigError
from psp.gateway.token_file import load_token
from psp.testing.entropy import SeededEntropy


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "gateway.token"


def test_a_token_is_made_once_in_a_private_file(path):
    token = load_token(path, SeededEntropy(1))

    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_token(path, SeededEntropy(2)) == token


def test_a_removed_file_makes_a_new_token(path):
    token = load_token(path, SeededEntropy(1))
    path.unlink()

    assert load_token(path, SeededEntropy(2)) != token


def test_a_file_that_others_may_read_is_refused_with_the_cure(path):
    load_token(path, SeededEntropy(1))
    path.chmod(0o640)

    with pytest.raises(ConfigError, match="chmod 0600"):
        load_token(path, SeededEntropy(1))


@pytest.mark.parametrize("text", [b"", b"short", b"\xff" * 40, b"a b" * 20, b"x" * 200])
def test_what_is_no_token_is_refused_and_not_shown(path, text):
    load_token(path, SeededEntropy(1))
    path.write_bytes(text)

    with pytest.raises(ConfigError) as refused:
        load_token(path, SeededEntropy(1))
    assert not text or text.decode(errors="replace") not in str(refused.value)
