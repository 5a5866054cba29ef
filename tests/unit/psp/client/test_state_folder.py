"""One program at a time in a client's folder (psp/client/state_folder.py)."""

import pytest

from psp.client.state_folder import alone_in
from psp.errors import ConfigError


def test_folder_is_made_for_its_owner_only_and_free_again_afterwards(tmp_path):
    folder = tmp_path / "deep" / "state"

    for _ in range(2):
        with alone_in(folder):
            assert folder.stat().st_mode & 0o777 == 0o700


def test_second_one_is_told_who_is_in_the_way_and_ends_nothing(tmp_path):
    with alone_in(tmp_path):
        for _ in range(2):
            with pytest.raises(ConfigError, match="another psp program uses"):
                alone_in(tmp_path).__enter__()


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="set another state_dir"):
        alone_in(tmp_path / "file" / "state").__enter__()
