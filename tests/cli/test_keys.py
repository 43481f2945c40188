"""Keys and passphrases on the command line: from files, and never as arguments."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from databackup import Limits, inspect_archive, iter_export
from databackup.adapters.sqlite import SQLiteRepository
from databackup.cli.commands import cli
from tests.cli.conftest import Workshop
from tests.support import keys
from tests.support.agefile import with_passphrase
from tests.support.sqlite import run


@pytest.fixture
def keyed(workshop: Workshop) -> Workshop:
    """A shop, with the files of two identities and of two passphrases."""
    for number in (1, 2):
        Path(f"key{number}").write_text(keys.private(number) + "\n", "utf-8")
    Path("word").write_text(keys.WORD + "\n", "utf-8")
    Path("other").write_text("wrong horse\n", "utf-8")
    plain = b"".join(iter_export(SQLiteRepository.reflect("shop.db")))
    Path("word.json.age").write_bytes(with_passphrase(plain, keys.WORD))
    workshop.ok("export", "shop.db", "key.json.age", "--encrypt-to", keys.public(1))
    return workshop


OPENS = {"key.json.age": ("--identity", "key1"), "word.json.age": ("--passphrase-file", "word")}
OTHERS = {"key.json.age": ("--identity", "key2"), "word.json.age": ("--passphrase-file", "other")}


@pytest.mark.parametrize("file", OPENS)
def test_every_command_that_reads(keyed: Workshop, file: str) -> None:
    """Each takes the key, and does what it does with an archive that is not encrypted."""
    run(keyed.database, "DELETE FROM orders")
    keyed.ok("import", file, "shop.db", "--yes", *OPENS[file])
    assert 3 == len(keyed.dump()["orders"])
    assert "is sound: 5 records" in keyed.ok("verify", file, *OPENS[file]).output
    assert "hold the same" in keyed.ok("diff", file, "shop.db", *OPENS[file]).output
    way = "to recipients" if file == "key.json.age" else "with a passphrase"
    assert f"as age {way}" in keyed.ok("inspect", file, *OPENS[file]).output
    found = json.loads(keyed.ok("inspect", file, "--json", *OPENS[file]).stdout)
    assert (
        file.partition(".")[0] == {"recipients": "key", "passphrase": "word"}[found["encryption"]]
    )
    keyed.ok("seal", file, "sealed.json", *OPENS[file])
    assert 5 == inspect_archive("sealed.json").records


@pytest.mark.parametrize("file", OPENS)
def test_standard_input(keyed: Workshop, file: str) -> None:
    """What comes from a pipe is opened by the same options; it is not the passphrase as well."""
    data = Path(file).read_bytes()
    assert 0 == keyed.run("verify", "-", *OPENS[file], stdin=data).exit_code
    assert 0 == keyed.run("diff", "-", "shop.db", *OPENS[file], stdin=data).exit_code
    for command in (["verify", "-"], ["diff", "shop.db", "-"], ["seal", "-", "x.json"]):
        refused = keyed.run(*command, "--passphrase-file", "-", stdin=data)
        assert 2 == refused.exit_code
        assert "the passphrase or the archive, not both" in refused.output
    word = keys.WORD.encode()
    opened = keyed.run("verify", "word.json.age", "--passphrase-file", "-", stdin=word)
    assert 0 == opened.exit_code


@pytest.mark.parametrize("file", OPENS)
def test_wrong_keys(keyed: Workshop, file: str) -> None:
    """A wrong key, none at all, one of the other kind, and a damaged file: each says what it is."""
    other_file = next(name for name in OPENS if name != file)
    Path("damaged.json.age").write_bytes(Path(file).read_bytes()[:-9] + b"x" * 9)
    codes = {
        OTHERS[file]: "wrong-key" if file == "key.json.age" else "wrong-passphrase",
        (): "decryption-required",
        OPENS[other_file]: "decryption-required",
    }
    before = keyed.dump()
    for options, code in codes.items():
        for command in (["verify", file], ["import", file, "shop.db", "--yes"]):
            result = keyed.run(*command, "--json", *options)
            assert 1 == result.exit_code
            error = json.loads(result.stdout)["error"]
            assert code == error["code"]
            assert keys.WORD not in result.output
            if not options:
                assert "--identity" in error["remedy"]
                assert "--passphrase-file" in error["remedy"]
    result = keyed.run("verify", "damaged.json.age", "--json", *OPENS[file])
    assert "encryption-cut-off" == json.loads(result.stdout)["error"]["code"]
    assert before == keyed.dump()


def test_nobody_is_asked_without_a_terminal(
    keyed: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job without a terminal never waits for somebody to type a passphrase."""
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: pytest.fail("asked"))
    assert 1 == keyed.run("verify", "word.json.age").exit_code


def test_both_kinds_of_keys(keyed: Workshop) -> None:
    """Where both are named, the archive takes its own; several identities are tried."""
    both = ("--identity", "key2", "--identity", "key1", "--passphrase-file", "word")
    for file in OPENS:
        keyed.ok("verify", file, *both)
        keyed.ok("diff", "shop.db", file, *both)


def test_exports(keyed: Workshop) -> None:
    """To several recipients, compressed, over an older one, and to standard output."""
    to = ("--encrypt-to", keys.public(1), "--encrypt-to", keys.public(2))
    for _ in range(2):
        keyed.ok("export", "shop.db", "b.json.gz.age", *to)
    for number in (1, 2):
        found = inspect_archive("b.json.gz.age", decryption=keys.identity(number))
        assert ("gzip", "recipients") == (found.compression, found.encryption)
    streamed = keyed.run("export", "shop.db", "-", *to)
    assert streamed.stdout_bytes.startswith(b"age-encryption.org/v1\n")


@pytest.mark.slow
def test_exports_with_a_passphrase(keyed: Workshop) -> None:
    """The passphrase of a file, or of standard input, which is no archive there."""
    keyed.run("export", "shop.db", "b.json.age", "--passphrase-file", "-", stdin=b"ein Wort\n")
    Path("ein").write_text("ein Wort", "utf-8")
    keyed.ok("verify", "b.json.age", "--passphrase-file", "ein")


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "nothing encrypts": (["b.json.age"], 1, "b.json.age is the name of an encrypted file"),
    "another name": (["b.json", "--encrypt-to", keys.public()], 1, "its name does not say so"),
    "both": (
        ["b.json.age", "--encrypt-to", keys.public(), "--passphrase-file", "word"],
        2,
        "exclude each other",
    ),
    "a private key": (["b.json.age", "--encrypt-to", keys.private()], 1, "is a private key"),
    "no key": (["b.json.age", "--encrypt-to", "age1s3cr3t"], 1, "is no public key"),
    "no file": (["b.json.age", "--passphrase-file", "none"], 1, "none cannot be read"),
    "no passphrase": (["b.json.age", "--passphrase-file", "key.json.age"], 1, "is not UTF-8"),
}


@pytest.mark.parametrize("arguments, code, expected", REFUSED.values(), ids=REFUSED)
def test_refused_exports(keyed: Workshop, arguments: Any, code: int, expected: str) -> None:
    """Nothing is written, and no key is in what is said."""
    result = keyed.run("export", "shop.db", *arguments)
    assert code == result.exit_code
    assert expected in result.output
    for secret in (keys.private(), "s3cr3t", keys.WORD):
        assert secret not in result.output
    assert not Path("b.json.age").exists()
    assert not Path("b.json").exists()


def test_files_that_are_no_archive_stay(keyed: Workshop) -> None:
    """An encrypted file is replaced by one only; what else is in it nobody can see."""
    Path("notes").write_bytes(Path("key.json.age").read_bytes())
    refused = keyed.run("export", "shop.db", "notes")
    assert "notes exists and is no archive" in refused.output
    Path("notes.age").write_bytes(b"mine")
    refused = keyed.run("export", "shop.db", "notes.age", "--encrypt-to", keys.public())
    assert "notes.age exists and is no archive" in refused.output


def test_what_is_written_anew(keyed: Workshop) -> None:
    """Seal and migrate encrypt to recipients, or with the passphrase that opens what they read."""
    keyed.ok(
        "seal",
        "word.json.age",
        "a.json.age",
        *OPENS["word.json.age"],
        "--encrypt-to",
        keys.public(2),
    )
    assert 5 == inspect_archive("a.json.age", decryption=keys.identity(2)).records
    refused = keyed.run("seal", "key.json.age", "b.json.age", *OPENS["key.json.age"])
    assert "b.json.age is the name of an encrypted file" in refused.output
    target = keyed.app()
    keyed.ok("export", target, "old.json")
    to = ("--encrypt-to", keys.public(2))
    keyed.ok("migrate", "old.json", "new.json.zst.age", "--app", target, *to)
    opens = ("--app", target, "--identity", "key2")
    keyed.ok("migrate", "new.json.zst.age", "again.json", *opens)
    assert 5 == inspect_archive("again.json").records


def test_limits(keyed: Workshop) -> None:
    """The limits of passphrases are set as others are."""
    options = OPENS["word.json.age"]
    for limit, allowed in (("passphrase=100", "100"), ("passphrase=1kB", "1,000")):
        result = keyed.run("verify", "word.json.age", *options, "--limit", limit)
        assert 1 == result.exit_code
        assert f"the limit 'passphrase' allows: {allowed} bytes" in result.output
    keyed.ok("verify", "word.json.age", *options, "--limit", "passphrase=1MB", "--limit", "work=1")
    assert Limits().work == 22


def test_no_secret_is_an_argument() -> None:
    """No option takes a passphrase or a private key itself: arguments are seen by everybody."""
    for command in cli.commands.values():
        for parameter in command.params:
            if {"--passphrase-file", "--identity"} & set(parameter.opts):
                assert "FILE" == parameter.metavar
            assert not {"--passphrase", "--password", "--key"} & set(parameter.opts)
