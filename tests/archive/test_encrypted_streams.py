"""The age format as a stream: what goes in comes out, whatever the pieces, and no thread stays."""

import base64
import io
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pyrage
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup import Identity, Passphrase, Recipients
from databackup.archive.decrypting import opened, way_of
from databackup.archive.encrypting import encrypt
from databackup.archive.limits import Limits
from databackup.archive.pumping import PumpFailed, pumped
from databackup.errors import (
    ArchiveTruncated,
    DecryptionRequired,
    EncryptionBroken,
    EncryptionCutOff,
    LimitExceeded,
    MissingExtra,
    TooLargeForPassphrase,
    WrongPassphrase,
)
from tests.support import keys
from tests.support.agefile import with_passphrase

CHUNK = 64 * 1024


def _decrypted(data: bytes, decryption: Any, limits: Limits | None = None) -> bytes:
    with opened(io.BytesIO(data), limits or Limits(), decryption) as content:
        return b"".join(content.chunks())


@given(st.lists(st.integers(0, 3 * CHUNK), max_size=5), st.randoms(use_true_random=False))
@example([], None)
@example([0, CHUNK, 0, CHUNK - 1, 2], None)
def test_round_trip(sizes: list[int], random: Any) -> None:
    """Chunks of any sizes come back, as age's own function says, too."""
    chunks = [bytes([65 + place]) * size for place, size in enumerate(sizes)]
    if random is not None:
        random.shuffle(chunks)
    encrypted = b"".join(encrypt(iter(chunks), keys.recipients(1, 2)))
    plain = b"".join(chunks)
    assert plain == pyrage.decrypt(encrypted, [pyrage.x25519.Identity.from_str(keys.private(2))])
    assert plain == _decrypted(encrypted, keys.identity(1))
    assert plain == _decrypted(encrypted, Identity([keys.private(3), keys.private(2)]))


@given(st.binary(max_size=3 * CHUNK), st.booleans())
def test_armor(plain: bytes, crlf: bool) -> None:
    """What age writes as text is read as well, with the line ends of Windows too."""
    recipient = pyrage.x25519.Recipient.from_str(keys.public())
    text = pyrage.encrypt(plain, [recipient], armored=True)
    if crlf:
        text = text.replace(b"\n", b"\r\n")
    assert plain == _decrypted(text, keys.identity())
    assert plain == _decrypted(text.rstrip(), keys.identity())


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_passphrase(size: int) -> None:
    """What another implementation has encrypted with a passphrase is read, as text as well."""
    data = with_passphrase(b"x" * size, keys.WORD)
    assert b"x" * size == _decrypted(data, keys.PASSPHRASE)
    lines = base64.encodebytes(data).replace(b"\n", b"")
    text = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
    text += b"".join(lines[at : at + 64] + b"\n" for at in range(0, len(lines), 64))
    assert b"x" * size == _decrypted(text + b"-----END AGE ENCRYPTED FILE-----\n", keys.PASSPHRASE)


@pytest.mark.slow
def test_what_a_passphrase_encrypts() -> None:
    """It comes in pieces, and opens with the same passphrase alone."""
    pieces = [*encrypt(iter([b"x" * 100_000]), keys.PASSPHRASE)]
    assert max(map(len, pieces)) <= CHUNK
    data = b"".join(pieces)
    assert b"x" * 100_000 == _decrypted(data, keys.PASSPHRASE)
    with pytest.raises(WrongPassphrase):
        _decrypted(data, Passphrase("another"))


def test_a_stream_is_read_as_it_comes() -> None:
    """Some of what comes out is there before all is in, and what is left ends the thread."""
    before = threading.active_count()
    taken = []

    def endless() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield b"x" * CHUNK

    source: Any = endless()
    chunks: Any = encrypt(source, keys.recipients())
    next(chunks)
    assert len(taken) < 5
    assert before + 1 == threading.active_count()
    chunks.close()
    assert before == threading.active_count()
    assert source.gi_frame is None  # closed, though it is still held here: a snapshot has ended


def test_content_is_read_anew_each_time() -> None:
    """Several passes at once do not disturb each other, nor is one needed to its end."""
    plain = bytes(range(256)) * 2000
    data = b"".join(encrypt([plain], keys.recipients()))
    with opened(io.BytesIO(b"behind" + data), Limits(), keys.identity()) as content:
        assert content.encryption is None
    file = io.BytesIO(b"behind" + data)
    file.seek(6)
    with opened(file, Limits(), keys.identity()) as content:
        assert ("recipients", len(data)) == (content.encryption, content.file_size)
        one, other = content.chunks(), content.chunks()
        first = next(one)
        assert first == next(other) == content.start
        assert plain == first + b"".join(one)
        assert plain == first + b"".join(other)


class _HostError(Exception):
    pass


def test_errors_of_what_is_encrypted_come_out_unchanged() -> None:
    """An export that fails half-way ends in its own error, and its generator is closed."""
    before, ended = threading.active_count(), []

    def failing() -> Iterator[bytes]:
        try:
            yield b"x" * 100_000
            raise _HostError
        finally:
            ended.append(True)

    with pytest.raises(_HostError) as raised:
        list(encrypt(failing(), keys.recipients()))
    assert raised.value.__cause__ is None
    assert [True] == ended
    assert before == threading.active_count()


def test_work_is_done_in_turns() -> None:
    """The function never runs while its reader does, and what it reads comes in that thread."""
    events = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            events.append(("chunk", threading.current_thread() is threading.main_thread()))
            yield b"ab"

    def function(source: Any, to: Any) -> None:
        while data := source.read(1):
            events.append(("work", threading.current_thread() is threading.main_thread()))
            to.write(data)
        to.flush()

    assert [b"ab"] * 3 == list(pumped(chunks(), function))
    assert ([("chunk", True)] + [("work", False)] * 2) * 3 == events


def test_what_the_function_raises() -> None:
    """It is the cause of what comes out, which says whether all had been read."""

    def at_once(_source: Any, _to: Any) -> None:
        raise _HostError

    def at_the_end(source: Any, _to: Any) -> None:
        while source.read(10):
            pass
        raise _HostError

    for function, at_end in ((at_once, False), (at_the_end, True)):
        with pytest.raises(PumpFailed) as raised:
            list(pumped([b"x", b""], function))
        assert at_end is raised.value.at_end
        assert isinstance(raised.value.__cause__, _HostError)


# -- what is refused -----------------------------------------------------------------------------


def test_what_is_missing_is_named() -> None:
    """Without a key, or with one of the other kind, the error says which kind is needed."""
    to_recipients = b"".join(encrypt([b"x"], keys.recipients()))
    with_a_word = with_passphrase(b"x", keys.WORD)
    for data, opens, needs in (
        (to_recipients, None, "identity"),
        (to_recipients, keys.PASSPHRASE, "identity"),
        (with_a_word, None, "passphrase"),
        (with_a_word, keys.identity(), "passphrase"),
    ):
        with pytest.raises(DecryptionRequired) as raised:
            _decrypted(data, opens)
        assert needs == raised.value.needs


def test_how_a_file_is_encrypted() -> None:
    """The first bytes tell, and the file stays where it stands."""
    cases = {
        b"".join(encrypt([b"x"], keys.recipients())): "recipients",
        with_passphrase(b"x", keys.WORD): "passphrase",
        b"{}": None,
        b"age-encryption.org/v1\n": None,
        b"age-encryption.org/v1\n--- x\n": None,
    }
    for data, expected in cases.items():
        file = io.BytesIO(b"ab" + data)
        file.seek(2)
        assert expected == way_of(file)
        assert 2 == file.tell()


def test_a_passphrase_bounds_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fits is refused before anything comes out, and before more is read."""
    with monkeypatch.context() as patched:
        patched.setattr("databackup.archive.encrypting.DEFAULTS", Limits(passphrase=1000))
        left = iter([b"x" * 600, b"x" * 600, b"x"])
        with pytest.raises(TooLargeForPassphrase, match="1,000 bytes at most") as raised:
            list(encrypt(left, keys.PASSPHRASE))
        assert 1000 == raised.value.allowed
        assert "recipients" in raised.value.remedy
        assert [b"x"] == list(left)
    data = with_passphrase(b"x" * 200_000, keys.WORD)
    with pytest.raises(LimitExceeded) as exceeded:
        _decrypted(data, keys.PASSPHRASE, Limits(passphrase=100_000))
    assert ("passphrase", 100_000) == (exceeded.value.limit, exceeded.value.allowed)
    with pytest.raises(LimitExceeded):
        _decrypted(data, keys.PASSPHRASE, Limits(passphrase=199_999 - 16))
    for limit in (None, 200_000):
        assert 200_000 == len(_decrypted(data, keys.PASSPHRASE, Limits(passphrase=limit)))


def test_the_work_of_a_passphrase_is_bounded() -> None:
    """A file that would take minutes and gigabytes to try is refused at once."""
    data = with_passphrase(b"x", keys.WORD)
    start, _, rest = data.partition(b" 1\n")
    for work, limit in ((23, 22), (63, 22), (99, 22)):
        with pytest.raises(LimitExceeded, match="work") as raised:
            _decrypted(start + b" %d\n" % work + rest, keys.PASSPHRASE)
        assert ("work", limit) == (raised.value.limit, raised.value.allowed)
    for text in (b"0", b"023", b"0x9", b"999", b"-1", b""):
        with pytest.raises(EncryptionBroken):
            _decrypted(start + b" " + text + b"\n" + rest, keys.PASSPHRASE)
    with pytest.raises(LimitExceeded, match="more work than age does on this machine"):
        _decrypted(start + b" 63\n" + rest, keys.PASSPHRASE, Limits(work=None))
    assert b"x" == _decrypted(data, keys.PASSPHRASE, Limits(work=1))


HOSTILE = {
    "no end": (b"-> a b\n" + b"A" * 64 + b"\n" * 200_000, "longer than"),
    "far too long": (b"-> a b\n\n" * 20_000 + b"--- A\n", "longer than"),
    "too long": (b"-> a b\n\n" * 9_000 + b"--- A\n", "longer than"),
    "no key": (b"--- A\n", "names no key"),
    "two passphrases": (b"-> scrypt a 9\nA\n-> scrypt b 1\nA\n--- A\n", "was changed"),
}


@pytest.mark.parametrize("rest, expected", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers(rest: bytes, expected: str) -> None:
    """Headers that no age writes are refused in a moment: parsing them takes time in the square."""
    data = b"age-encryption.org/v1\n" + rest
    with pytest.raises(EncryptionBroken, match=expected):
        _decrypted(data, keys.identity())
    assert way_of(io.BytesIO(data)) in {None, "recipients"}


def test_a_newer_age() -> None:
    """A format that comes after this one is not read as this one."""
    with pytest.raises(EncryptionBroken):
        _decrypted(b"age-encryption.org/v2\n-> a b\n\n--- A\n" + b"x" * 100, keys.identity())


def test_headers_are_cut_off() -> None:
    """A file that ends within its header is told from one that was changed."""
    for data in (b"age-encryption.org/v1", b"age-encryption.org/v1\n-> X25519 abc\n"):
        with pytest.raises(ArchiveTruncated, match="within its header") as raised:
            _decrypted(data, keys.identity())
        assert not isinstance(raised.value, EncryptionBroken)


ARMORED = pyrage.encrypt(
    b"x" * 200, [pyrage.x25519.Recipient.from_str(keys.public())], armored=True
)


@pytest.mark.parametrize(
    "data, error",
    [
        (ARMORED + b"x", EncryptionBroken),
        (ARMORED + ARMORED, EncryptionBroken),
        (ARMORED.replace(b"END AGE", b"END RAGE"), EncryptionBroken),
        (ARMORED[:-20], ArchiveTruncated),
        (ARMORED[:200], ArchiveTruncated),
        (ARMORED[:-60] + b"!" + ARMORED[-59:], EncryptionBroken),
        (ARMORED.replace(b"\n", b"\n=", 2), EncryptionBroken),
    ],
)
def test_armor_is_damaged(data: bytes, error: type[Exception]) -> None:
    """Text that is cut off, goes on, or has other letters in it is refused."""
    with pytest.raises(error):
        _decrypted(data, keys.identity())


def test_the_part_that_was_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage before the last part is damage; in the last one it may be that the rest is missing."""
    data = b"".join(encrypt([b"x" * 200_000], keys.recipients()))
    early = bytearray(data)
    early[70_000] ^= 1
    with pytest.raises(EncryptionBroken) as raised:
        _decrypted(bytes(early), keys.identity())
    assert not isinstance(raised.value, EncryptionCutOff)
    late = bytearray(data)
    late[-1] ^= 1
    for cut in (bytes(late), data[:-1], data[:150_000], data + b"x"):
        with pytest.raises(EncryptionCutOff):
            _decrypted(cut, keys.identity())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is named by its extra, before anything is read."""
    data = b"".join(encrypt([b"x"], keys.recipients()))
    identity = keys.identity()
    monkeypatch.setitem(sys.modules, "pyrage", None)
    for use in (
        lambda: Recipients(["age1"]),
        lambda: Identity("AGE-SECRET-KEY-1"),
        lambda: list(encrypt([b"x"], keys.PASSPHRASE)),
        lambda: _decrypted(data, identity),
    ):
        with pytest.raises(MissingExtra) as raised:
            use()
        assert "crypto" == raised.value.extra
