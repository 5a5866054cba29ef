"""Key files on the disk (psp/runtime/keyfiles.py)."""

import pytest

from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy

SECRET = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "identity.key"


@pytest.fixture
def entropy():
    return SeededEntropy()


def test_plain_file_gives_its_secret_back(path, entropy):
    keyfiles.create(path, SECRET, entropy=entropy)

    assert keyfiles.load(path) == SECRET
    assert not keyfiles.needs_passphrase(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_passphrase_protects(path, entropy):
    keyfiles.create(path, SECRET, entropy=entropy, passphrase="correct horse")

    assert SECRET not in path.read_bytes()
    assert keyfiles.needs_passphrase(path)
    assert keyfiles.load(path, passphrase="correct horse") == SECRET
    for wrong in (None, "battery staple"):
        with pytest.raises(ConfigError, match="give the right passphrase") as error:
            keyfiles.load(path, passphrase=wrong)
        assert "horse" not in str(error.value)


def test_passphrase_can_be_changed_and_dropped(path, entropy):
    keyfiles.create(path, SECRET, entropy=entropy)

    keyfiles.change_passphrase(path, entropy=entropy, old=None, new="x")
    assert keyfiles.load(path, passphrase="x") == SECRET

    with pytest.raises(ConfigError, match="right passphrase"):
        keyfiles.change_passphrase(path, entropy=entropy, old="y", new=None)
    keyfiles.change_passphrase(path, entropy=entropy, old="x", new=None)
    assert keyfiles.load(path) == SECRET


def test_keys_are_never_overwritten_and_passphrases_never_empty(path, entropy):
    with pytest.raises(ConfigError, match="not empty"):
        keyfiles.create(path, SECRET, entropy=entropy, passphrase="")
    keyfiles.create(path, SECRET, entropy=entropy)
    with pytest.raises(ConfigError, match="exists"):
        keyfiles.create(path, bytes(32), entropy=entropy)

    assert keyfiles.load(path) == SECRET


def test_seed_is_made_once(path, entropy):
    seed = keyfiles.load_or_create_seed(path, entropy=entropy)

    assert len(seed) == 32
    assert keyfiles.load_or_create_seed(path, entropy=entropy) == seed


def test_file_of_another_kind_is_no_seed(path, entropy):
    keyfiles.create(path, b"short", entropy=entropy)

    with pytest.raises(ConfigError, match="holds 5 bytes, a seed has 32"):
        keyfiles.load_or_create_seed(path, entropy=entropy)


def test_missing_and_damaged_files_are_explained(path, entropy):
    assert not keyfiles.needs_passphrase(path)
    with pytest.raises(ConfigError, match="is missing; create the key"):
        keyfiles.load(path)

    keyfiles.create(path, SECRET, entropy=entropy)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ConfigError, match="restore it from a copy"):
            keyfiles.load(path)


def test_passphrase_is_the_first_line_of_a_private_file(path):
    path.parent.mkdir(mode=0o700)
    path.write_text("correct horse\r\nnot this\n")
    path.chmod(0o600)

    assert keyfiles.read_passphrase(path) == "correct horse"


@pytest.mark.parametrize(
    ("data", "text"), [(b"\n", "is empty"), (b"\xff", "is not UTF-8")]
)
def test_unusable_passphrase_files_are_explained(path, data, text):
    with pytest.raises(ConfigError, match="is missing"):
        keyfiles.read_passphrase(path)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="chmod 0600"):
        keyfiles.read_passphrase(path)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=text):
        keyfiles.read_passphrase(path)
