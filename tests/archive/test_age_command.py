"""What we encrypt opens with the command age, and what that makes opens here."""

import io
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from databackup import Identity, Passphrase, Recipients, export_all, inspect_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.compression import decompress
from tests.archive.support import SALES, SHOP, packed, shop, tiny
from tests.support import databases, keys
from tests.support.agefile import with_passphrase

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")


@pytest.fixture
def age() -> str:
    """The command; a test is skipped, or fails, where there is none."""
    return databases.command("age")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with an identity."""
    file = tmp_path / "key.txt"
    file.write_text(keys.private() + "\n", "utf-8")
    return file


def _store() -> MemoryRepository:
    """A store of the shop."""
    contents: dict[str, Any] = {
        c.name: [dict(zip((f.name for f in c.fields), row, strict=True)) for row in SALES[c.name]]
        for c in SHOP.collections
    }
    return MemoryRepository(SHOP, contents)


def _run(*command: str | Path, data: bytes = b"") -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("name", ["b.json.age", "b.json.gz.age", "b.json.zst.age"])
def test_age_opens_what_we_write(name: str, age: str, key: Path, tmp_path: Path) -> None:
    """What comes out is the archive in the compression of its name."""
    path = tmp_path / name
    export_all(_store(), path, encryption=Recipients([keys.public(2), keys.public()]))
    plain = _run(age, "-d", "-i", key, path)
    if name != "b.json.age":
        form = "gzip" if "gz" in name else "zstd"
        plain = b"".join(decompress(iter([plain]), form))  # type: ignore[arg-type]
    found = inspect_archive(path, decryption=keys.identity())
    assert found.seal == inspect_archive(io.BytesIO(plain)).seal
    assert found.size == len(plain)


@pytest.mark.parametrize("armored", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_we_open_what_age_writes(armored: bool, compression: str, age: str) -> None:
    """To recipients, as bytes or as text, of what is compressed or not."""
    options = ["-a"] if armored else []
    plain = packed(shop(), compression)  # type: ignore[arg-type]
    data = _run(age, *options, "-r", keys.public(), data=plain)
    assert 9 == verify_archive(io.BytesIO(data), SHOP, decryption=keys.identity()).records


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_ssh(kind: str, age: str, tmp_path: Path) -> None:
    """Both ways with keys of SSH as well."""
    key = tmp_path / "key"
    _run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key)
    data = _run(age, "-R", key.with_suffix(".pub"), data=tiny())
    assert 2 == inspect_archive(io.BytesIO(data), decryption=Identity.of_files(key)).records
    path = tmp_path / "b.json.age"
    recipients = Recipients([key.with_suffix(".pub").read_text("utf-8")])
    export_all(_store(), path, encryption=recipients)
    assert b'{"format":"databackup"' == _run(age, "-d", "-i", key, path)[:22]


@pytest.mark.slow
def test_passphrases(age: str, tmp_path: Path) -> None:
    """What our passphrase encrypts opens with age, and what one typed into age does opens here."""
    path = tmp_path / "b.json.age"
    export_all(_store(), path, encryption=keys.PASSPHRASE)
    out = tmp_path / "out"
    _typed(keys.WORD, 1, age, "-d", "-o", str(out), str(path))
    assert inspect_archive(out).seal == inspect_archive(path, decryption=keys.PASSPHRASE).seal

    made = tmp_path / "made.age"
    _typed("ein Wort", 2, age, "-p", "-o", str(made), str(out))
    assert 9 == inspect_archive(made, decryption=Passphrase("ein Wort")).records


def test_what_the_tests_encrypt_is_age(age: str, tmp_path: Path) -> None:
    """The tests' own files with passphrases, which take no work, open with age, too."""
    made, out = tmp_path / "made.age", tmp_path / "out"
    made.write_bytes(with_passphrase(tiny(), keys.WORD))
    _typed(keys.WORD, 1, age, "-d", "-o", str(out), str(made))
    assert tiny() == out.read_bytes()


def _typed(word: str, times: int, *command: str) -> None:
    """Run a command on a terminal, and type a passphrase as often as it asks."""
    child, terminal = pty.fork()
    if not child:
        os.execv(command[0], command)  # noqa: S606 - the command of the test
    said = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            try:
                chunk = os.read(terminal, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not chunk:
                break
            said += chunk
            while times and b"assphrase" in said and b":" in said:
                os.write(terminal, word.encode() + b"\n")
                times, said = times - 1, b""
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert 0 == os.waitstatus_to_exitcode(status), said
