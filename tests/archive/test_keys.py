"""Passphrases, recipients and identities: what they take, and that nothing shows a secret."""

import copy
import logging
import pickle
import subprocess
import traceback
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import Identity, Passphrase, Recipients, inspect_archive
from databackup.errors import DatabackupError, FileError, InvalidKey
from tests.support import keys

SECRETS = {"passphrase": "hunter2 hunter2", "key": keys.private()}


def _holders() -> list[Any]:
    return [Passphrase(SECRETS["passphrase"]), Identity(SECRETS["key"])]


@pytest.mark.parametrize("holder", _holders(), ids=["passphrase", "identity"])
def test_no_secret_is_shown(holder: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither text nor log, neither attributes nor a copy as a dict has it."""
    logging.getLogger("host").warning("opened with %s, %r", holder, {"decryption": holder})
    shown = [str(holder), repr(holder), format(holder), caplog.text]
    shown += [repr(attrs.asdict(holder)), repr(attrs.astuple(holder))]
    assert not hasattr(holder, "__dict__")
    for text in shown:
        assert [] == [secret for secret in SECRETS.values() if secret in text]
    assert "Passphrase(…)" in shown or "Identity(…)" in shown


@pytest.mark.parametrize("holder", _holders(), ids=["passphrase", "identity"])
def test_no_secret_is_pickled(holder: Any) -> None:
    """What would send a secret elsewhere is refused; a copy in this process is the same secret."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="a secret does not pickle"):
            pickle.dumps(holder, protocol)
    assert holder.reveal() == copy.copy(holder).reveal() == copy.deepcopy(holder).reveal()


@pytest.mark.parametrize("holder", [*_holders(), keys.recipients()], ids=type)
def test_keys_are_frozen(holder: Any) -> None:
    """A key that is in use by an export is not changed under it."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(holder, attrs.fields(type(holder))[0].name, "other")


def test_recipients_are_no_secret() -> None:
    """Public keys are shown, compared and pickled."""
    found = keys.recipients(1, 2)
    assert keys.public(2) in repr(found)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - made above


BAD: dict[str, Any] = {
    "empty passphrase": lambda: Passphrase(""),
    "passphrase of lone surrogates": lambda: Passphrase("s3cr3t\ud800"),
    "no recipients": lambda: Recipients([]),
    "a private key for a public one": lambda: Recipients([keys.public(), keys.private()]),
    "a private key in small letters": lambda: Recipients([keys.private().lower()]),
    "a private key of SSH": lambda: Recipients(["-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t"]),
    "no public key": lambda: Recipients(["s3cr3t"]),
    "a public key with a typo": lambda: Recipients([keys.public()[:-1] + "x" * 2]),
    "a kind of SSH that age has not": lambda: Recipients(["ecdsa-sha2-nistp256 s3cr3t"]),
    "no public key of SSH": lambda: Recipients(["ssh-ed25519 s3cr3t"]),
    "too many recipients": lambda: Recipients([keys.public()] * 65),
    "no identity": lambda: Identity("s3cr3t"),
    "no identities": lambda: Identity([]),
    "only comments": lambda: Identity("# s3cr3t\n\n"),
    "a public key for an identity": lambda: Identity(keys.public()),
    "an identity with a typo": lambda: Identity("# ok\n" + keys.private()[:-1] + "II"),
    "an encrypted identity": lambda: Identity("age-encryption.org/v1\ns3cr3t"),
    "an identity of SSH that is none": lambda: Identity(
        "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t"
    ),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_bad_keys(make: Any) -> None:
    """Each is named by its place and never by what it is, in the traceback as well."""
    with pytest.raises(InvalidKey) as raised:
        make()
    text = "".join(traceback.format_exception(raised.value)) + repr(raised.value.as_json())
    # The test's own lines are in the traceback: what was typed into them is not in what is raised.
    text = "\n".join(line for line in text.splitlines() if "lambda" not in line)
    for secret in ("s3cr3t", keys.private(), keys.private().lower(), keys.public()):
        assert secret not in text
    assert str(raised.value) == str(pickle.loads(pickle.dumps(raised.value)))  # noqa: S301 - the same
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Passphrase(b"s3cr3t"),
        lambda: Recipients("s3cr3t"),
        lambda: Recipients([1]),
        lambda: Recipients(3),
        lambda: Identity([b"s3cr3t"]),
        lambda: Identity(3),
        lambda: inspect_archive("there is none", decryption="s3cr3t"),  # type: ignore[arg-type]
    ],
)
def test_other_types(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of another type is a TypeError that does not show it."""
    monkeypatch.chdir(tmp_path)
    Path("there is none").write_bytes(b"{}")
    with pytest.raises(TypeError) as raised:
        make()
    assert "s3cr3t" not in str(raised.value)


def test_files_of_identities(tmp_path: Path) -> None:
    """A file has comments and several keys; several files are one identity."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text(f"# created: today\n\n{keys.private(1)}\r\n{keys.private(2)}\n", "utf-8")
    two.write_text(keys.private(3), "utf-8")
    assert 3 == len(Identity.of_files(one, str(two)).reveal())
    assert 2 == len(Identity([keys.private(1), keys.private(2)]).reveal())


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_ssh(kind: str, tmp_path: Path) -> None:
    """Both halves of a key of SSH are taken as ssh-keygen writes them."""
    _ssh_key(tmp_path / "key", kind, "")
    Recipients([(tmp_path / "key.pub").read_text("utf-8")])
    assert 1 == len(Identity.of_files(tmp_path / "key").reveal())


def test_keys_of_ssh_with_a_passphrase(tmp_path: Path) -> None:
    """A private key that is encrypted itself cannot be used, and the error says so."""
    _ssh_key(tmp_path / "key", "ed25519", "s3cr3t")
    with pytest.raises(InvalidKey, match=r"key is no private key of SSH .* no passphrase"):
        Identity.of_files(tmp_path / "key")


def _ssh_key(path: Path, kind: str, passphrase: str) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True, timeout=60
    )


@pytest.mark.parametrize(
    "contents, expected",
    [
        (b"word", "word"),
        (b"two words \n", "two words "),
        (b" w\xc3\xb6rd\r\n", " wörd"),
    ],
)
def test_passphrase_of_a_file(contents: bytes, expected: str, tmp_path: Path) -> None:
    """The line is the passphrase, as it is but for its end."""
    file = tmp_path / "word"
    file.write_bytes(contents)
    assert expected == Passphrase.of_file(file).reveal()


@pytest.mark.parametrize("contents", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe"])
def test_no_passphrase_in_a_file(contents: bytes, tmp_path: Path) -> None:
    """A file that is no line of UTF-8 is named, and not shown."""
    file = tmp_path / "word"
    file.write_bytes(contents)
    with pytest.raises(InvalidKey, match="word: ") as raised:
        Passphrase.of_file(file)
    assert "two" not in str(raised.value)


@pytest.mark.parametrize("read", [Passphrase.of_file, Identity.of_files])
def test_files_that_cannot_be_read(read: Any, tmp_path: Path) -> None:
    """A missing file, a folder and what is far too large end in typed errors that name it."""
    with pytest.raises(FileError, match="missing cannot be read"):
        read(tmp_path / "missing")
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path)
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(DatabackupError, match="large is far too large"):
        read(large)
    (tmp_path / "binary").write_bytes(b"\xff\xff")
    with pytest.raises(InvalidKey, match="binary"):
        read(tmp_path / "binary")
