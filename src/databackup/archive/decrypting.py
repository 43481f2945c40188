"""Reading what is encrypted in the age format (age-encryption.org/v1), by its content.

What is encrypted to recipients streams in constant memory, and is authenticated 64 KiB at a time;
what a passphrase encrypts is held as a whole, in memory and nowhere else.
"""

from __future__ import annotations

import binascii
import contextlib
import functools
import itertools
import re
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NoReturn

import attrs

from databackup import veil
from databackup.archive import files
from databackup.archive.encryption import (
    ARMOR,
    Decryption,
    Identity,
    Passphrase,
    is_encrypted,
    pieces,
    pyrage,
    require_decryption,
)
from databackup.archive.pumping import PumpFailed, pumped
from databackup.errors import (
    ArchiveTruncated,
    DecryptionRequired,
    EncryptionBroken,
    EncryptionCutOff,
    LimitExceeded,
    WrongKey,
    WrongPassphrase,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.limits import Limits

Way = Literal["passphrase", "recipients"]
"""What an archive is encrypted with."""

_ARMOR_END: Final = b"-----END AGE ENCRYPTED FILE-----"
_TRIES: Final = 5  # age measures the machine anew each time, and others may be at work
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_HEADER: Final = 64 * 1024  # bytes; age takes time in the square of them
_LONG_HEADER: Final = f"the header of the encrypted archive is longer than {_HEADER:,} bytes"
_STANZA: Final = re.compile(rb"^-> (\S+)(.*)$", re.MULTILINE)
_MAC: Final = re.compile(rb"\n---[^\n]*\n")
_WORK: Final = re.compile(rb" \S+ ([1-9][0-9]?)")


@attrs.frozen
class Content:
    """What a file of some bytes holds, decrypted as often as it is asked for; `start` is its first.

    The iterators of its chunks are generators.
    """

    file_size: int
    encryption: Way | None
    start: bytes
    chunks: Callable[[], Iterator[bytes]]


@contextlib.contextmanager
def opened(file: IO[bytes], limits: Limits, decryption: Decryption | None) -> Iterator[Content]:
    """What a file holds from where it stands on, decrypted where it is encrypted.

    Where it is, temporary files that are made within the block are veiled. Raises `FileError`,
    `DecryptionRequired`, `WrongPassphrase`, `WrongKey`, `EncryptionBroken`, `ArchiveTruncated`,
    `LimitExceeded`, `MissingExtra`.
    """
    require_decryption(decryption)
    place = file.tell()
    head = files.read(file, len(ARMOR))
    size = file.seek(0, 2) - place
    whole = functools.partial(files.chunks, file, place)
    if not is_encrypted(head):
        yield Content(size, None, head, whole)
        return
    binary = functools.partial(_unarmored, whole)
    header = _header(binary())
    chunks: Callable[[], Iterator[bytes]]
    if header.way == "passphrase":
        if not isinstance(decryption, Passphrase):
            raise _required(header.way, given=decryption)
        _require_little_work(header, limits.work)
        plain = _decrypted_at_once(_held(binary(), header, limits.passphrase), decryption)
        chunks = functools.partial(pieces, plain)
    else:
        if not isinstance(decryption, Identity):
            raise _required(header.way, given=decryption)
        chunks = functools.partial(_decrypted, binary, decryption)
    first: Any = chunks()
    with contextlib.closing(first):
        start = next(first, b"")
    with veil.veiling():
        yield Content(size, header.way, start, chunks)


def way_of(file: IO[bytes]) -> Way | None:
    """How a file is encrypted that can seek, and that is left where it stands.

    None where it is not, or where it is damaged: opening it says how. Raises `FileError`.
    """
    start = file.tell()
    try:
        if is_encrypted(files.read(file, len(ARMOR), start)):
            return _header(_unarmored(functools.partial(files.chunks, file, start))).way
    except (ArchiveTruncated, EncryptionBroken):
        return None
    finally:
        file.seek(start)
    return None


def _required(way: Way, *, given: Decryption | None) -> DecryptionRequired:
    if way == "passphrase":
        what = "the archive is encrypted with a passphrase"
        missing = "an identity does not open it" if given else "none was given"
        return DecryptionRequired(f"{what}, and {missing}", needs=way)
    what = "the archive is encrypted to recipients"
    missing = "a passphrase does not open it" if given else "no identity was given"
    return DecryptionRequired(f"{what}, and {missing}", needs="identity")


# -- passphrases: as a whole ---------------------------------------------------------------------


def _held(chunks: Iterator[bytes], header: _Header, limit: int | None) -> bytes:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if limit is not None and len(held) > header.size + _encrypted_size(limit):
            what = "the archive is encrypted with a passphrase, held in memory, and larger"
            raise LimitExceeded.of("passphrase", limit, what)
    return bytes(held)


def _encrypted_size(size: int) -> int:
    """What becomes of bytes behind the header: a nonce, and a tag for each 64 KiB."""
    return _TAG + size + (size // _CHUNK + 1) * _TAG


def _require_little_work(header: _Header, limit: int | None) -> None:
    if header.work is None:
        raise EncryptionBroken(
            "the header of the encrypted archive does not say what work it takes"
        )
    if limit is not None and header.work > limit:
        raise LimitExceeded.of("work", limit, "to try a passphrase takes more work")


def _decrypted_at_once(data: bytes, passphrase: Passphrase) -> bytes:
    age = pyrage()
    for _ in range(_TRIES):
        try:
            plain: bytes = age.passphrase.decrypt(data, passphrase.reveal())
        except age.DecryptError as error:
            if str(error) == "Decryption failed":
                raise WrongPassphrase("the passphrase does not open the archive") from None
            if not str(error).startswith("Excessive work"):
                _raise_broken(error, at_end=True)
        else:
            return plain
    message = "to try a passphrase takes more work than age does on this machine"
    raise LimitExceeded(message, None, "work")


# -- recipients: as a stream ---------------------------------------------------------------------


def _decrypted(binary: Callable[[], Iterator[bytes]], identity: Identity) -> Iterator[bytes]:
    identities, age = identity.reveal(), pyrage()
    try:
        yield from pumped(binary(), lambda source, to: age.decrypt_io(source, to, identities))
    except PumpFailed as failed:
        error = failed.__cause__
        if isinstance(error, age.DecryptError) and str(error) == "No matching keys found":
            raise WrongKey("none of the identities opens the archive") from None
        if isinstance(error, age.DecryptError | OSError):
            _raise_broken(error, at_end=failed.at_end)
        raise error or failed from None


def _raise_broken(error: Exception, *, at_end: bool) -> NoReturn:
    if str(error) == "decryption error" and at_end:
        message = "the encrypted archive is cut off, or was changed in its last part"
        raise EncryptionCutOff(message) from error
    if "fill whole buffer" in str(error) or "truncated" in str(error):
        raise ArchiveTruncated("the encrypted archive ends behind its header") from error
    raise EncryptionBroken("the encrypted archive was changed after it was written") from error


# -- what stands first ---------------------------------------------------------------------------


@attrs.frozen
class _Header:
    """Its bytes, the kinds of keys that open the file, and of a passphrase the work."""

    size: int
    kinds: tuple[bytes, ...]
    work: int | None

    @property
    def way(self) -> Way:
        """What it is encrypted with: a passphrase stands alone."""
        return "passphrase" if self.kinds == (b"scrypt",) else "recipients"


def _header(chunks: Iterator[bytes]) -> _Header:
    """The header, which nothing has authenticated yet. Raises what says that there is none."""
    held = b""
    while (end := _MAC.search(held)) is None:
        if len(held) > _HEADER:
            raise EncryptionBroken(_LONG_HEADER)
        chunk = next(chunks, b"")
        if not chunk:
            raise ArchiveTruncated("the encrypted archive ends within its header")
        held += chunk
    stanzas = _STANZA.findall(held, 0, end.start() + 1)
    if end.start() > _HEADER:
        raise EncryptionBroken(_LONG_HEADER)
    if not stanzas:
        raise EncryptionBroken("the header of the encrypted archive names no key")
    work = _WORK.fullmatch(stanzas[0][1]) if stanzas[0][0] == b"scrypt" else None
    return _Header(end.end(), tuple(kind for kind, _ in stanzas), int(work[1]) if work else None)


def _unarmored(whole: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """The chunks of a file in binary, where it is text as well: `age --armor` writes such."""
    chunks = whole()
    first = next(chunks, b"")
    if not first.startswith(ARMOR):
        yield first
        yield from chunks
        return
    held = b""
    for chunk in itertools.chain([first.removeprefix(ARMOR)], chunks):
        held += chunk.translate(None, b"\r\n")
        text, dash, _ = held.partition(b"-")
        ready = len(text) if dash else max(0, len(text) - 4) // 4 * 4  # padding comes last
        if ready:
            yield _decoded(held[:ready])
            held = held[ready:]
        if len(held) > len(_ARMOR_END):
            break
    if held.rstrip() != _ARMOR_END:
        if _ARMOR_END.startswith(held) or b"-" not in held:
            raise ArchiveTruncated("the encrypted archive, which is text, has no end")
        raise EncryptionBroken("something else than its end follows the encrypted archive")


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise EncryptionBroken("the encrypted archive is text, and was changed") from error
