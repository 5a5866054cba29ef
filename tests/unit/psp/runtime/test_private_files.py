"""Private files (psp/runtime/private_files.py)."""

import os
import resource
from contextlib import contextmanager

import pytest

from psp.errors import ConfigError
from psp.runtime import private_files

OLD, NEW = b"old content", b"new content, which is longer"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "private" / "file"


@contextmanager
def full_disk_after(size):
    """Let every write beyond ``size`` bytes of a file fail, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def mode(path):
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("write", [private_files.create, private_files.replace])
def test_modes_do_not_depend_on_the_umask(path, write, umask):
    old = os.umask(umask)
    try:
        write(path, OLD)
    finally:
        os.umask(old)

    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert private_files.read(path, 100) == OLD


def test_create_never_overwrites(path):
    private_files.create(path, OLD)

    with pytest.raises(ConfigError, match="exists; move it away first"):
        private_files.create(path, NEW)

    assert private_files.read(path, 100) == OLD
    assert list(path.parent.iterdir()) == [path]


def test_replace_leaves_nothing_else_behind(path):
    private_files.replace(path, OLD)
    private_files.replace(path, NEW)

    assert private_files.read(path, 100) == NEW
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("size", range(len(NEW)))
def test_disk_full_at_any_byte_leaves_the_old_content(path, size):
    private_files.replace(path, OLD)

    with full_disk_after(size), pytest.raises(ConfigError, match="File too large"):
        private_files.replace(path, NEW)

    assert private_files.read(path, 100) == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("size", range(len(NEW) + 1))
def test_crash_at_any_byte_leaves_the_old_content_and_can_be_repeated(path, size):
    private_files.replace(path, OLD)
    path.with_name(".file.new").write_bytes(NEW[:size])  # what the dead process left

    assert private_files.read(path, 100) == OLD

    private_files.replace(path, NEW)
    assert private_files.read(path, 100) == NEW
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("wide", [0o640, 0o604, 0o644, 0o660])
def test_file_open_to_others_is_refused_with_the_command(path, wide):
    private_files.create(path, OLD)
    path.chmod(wide)

    with pytest.raises(ConfigError) as error:
        private_files.read(path, 100)

    assert str(error.value) == (
        f"{path} has mode {wide:04o}, so others may read it; run: chmod 0600 {path}"
    )


def test_directory_open_to_others_is_refused_with_the_command(path):
    private_files.create(path, OLD)
    path.parent.chmod(0o755)

    for use in (
        lambda: private_files.read(path, 100),
        lambda: private_files.replace(path, NEW),
    ):
        with pytest.raises(ConfigError, match=f"run: chmod 0700 {path.parent}"):
            use()


def test_narrower_modes_are_fine(path):
    private_files.create(path, OLD)
    path.chmod(0o400)

    assert private_files.read(path, 100) == OLD


def test_missing_file_is_told_apart(path):
    with pytest.raises(FileNotFoundError):
        private_files.read(path, 100)


def test_large_and_strange_files_are_refused(path):
    private_files.create(path, OLD)
    assert private_files.read(path, len(OLD)) == OLD
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        private_files.read(path, 10)

    pipe = path.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigError, match="not a plain file"):
        private_files.read(pipe, 100)


def test_disk_errors_name_the_file(tmp_path):
    tmp_path.chmod(0o700)
    in_the_way = tmp_path / "plain"
    in_the_way.write_bytes(b"")
    in_the_way.chmod(0o600)

    with pytest.raises(ConfigError, match=str(in_the_way)):
        private_files.replace(in_the_way / "file", OLD)


def test_files_of_others_are_refused(path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    private_files.create(path, OLD)
    os.chown(path, 4_321, -1)

    with pytest.raises(ConfigError, match="belongs to another user"):
        private_files.read(path, 100)
