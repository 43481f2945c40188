"""What an archive is encrypted with, and what opens it again: passphrases, recipients, identities.

No secret is in what these objects show of themselves, and none of them pickles that has one. The
optional package for age is imported here alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from databackup.archive.compression import CHUNK
from databackup.errors import EncryptionMismatch, FileError, InvalidKey, MissingExtra, reason_of

_MOST_RECIPIENTS: Final = 64  # whose headers fit into what a reader looks through
SUFFIX: Final = ".age"
ARMOR: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_MAGIC: Final = b"age-encryption.org/"
_LARGEST_FILE: Final = 1024 * 1024


class _Secret:
    """A value that is shown to nobody and leaves the process in no way."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "…"

    def __deepcopy__(self, _memo: object) -> _Secret:
        return self

    def __copy__(self) -> _Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("what holds a secret does not pickle")


def _passphrase(text: object) -> _Secret:
    if not isinstance(text, str):
        raise TypeError(f"a passphrase is a str, not {type(text).__name__}")
    if not text:
        raise InvalidKey("the passphrase is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidKey("the passphrase is no text that UTF-8 can hold") from None
    return _Secret(text)


@attrs.frozen(eq=False, repr=False)
class Passphrase:
    """A passphrase that encrypts an archive, and opens it.

    What is encrypted with one is held in memory as a whole, and so bounded: see `Limits`. Raises
    `InvalidKey` for an empty one.
    """

    _secret: _Secret = attrs.field(converter=_passphrase)

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def reveal(self) -> str:
        """The passphrase itself, for what encrypts and decrypts."""
        text: str = self._secret.value
        return text

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> Passphrase:
        """The passphrase that is the one line of a file. Raises `FileError`, `InvalidKey`."""
        return cls.of_line(_contents(path), str(path))

    @classmethod
    def of_line(cls, line: bytes, place: str) -> Passphrase:
        """The passphrase that is one line of UTF-8, read from a place. Raises `InvalidKey`."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise InvalidKey(f"{place}: the passphrase is not UTF-8") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if "\n" in text:
            raise InvalidKey(f"{place}: a passphrase is one line, and there are more")
        if not text:
            raise InvalidKey(f"{place}: the passphrase is empty")
        return cls(text)


def _recipients(keys: object) -> tuple[str, ...]:
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise TypeError(f"recipients are a list of public keys, not {type(keys).__name__}")
    found = tuple(keys)
    for number, key in enumerate(found, 1):
        if not isinstance(key, str):
            raise TypeError(f"recipient {number} is a str, not {type(key).__name__}")
        _recipient(key, number)
    if not found:
        raise InvalidKey("no recipient is named: nobody could open the archive")
    if len(found) > _MOST_RECIPIENTS:
        raise InvalidKey(f"{len(found)} recipients are named: {_MOST_RECIPIENTS} at most")
    return found


@attrs.frozen
class Recipients:
    """Public keys: whoever has the private half of one of them can open the archive.

    Each is `age1…`, or a public key of SSH as it stands in a `.pub` file, Ed25519 or RSA. Raises
    `InvalidKey` for another one.
    """

    keys: tuple[str, ...] = attrs.field(converter=_recipients)

    def parsed(self) -> list[Any]:
        """The keys as pyrage has them."""
        return [_recipient(key, number) for number, key in enumerate(self.keys, 1)]


def _identities(given: object) -> _Secret:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Iterable):
        raise TypeError(f"an identity is a str or a list of such, not {type(given).__name__}")
    found: list[Any] = []
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"an identity is a str, not {type(text).__name__}")
        found += _identities_in(text, "the identity")
    if not found:
        raise InvalidKey("no identity is given")
    return _Secret(found)


@attrs.frozen(eq=False, repr=False)
class Identity:
    """Private keys, of which one opens the archive.

    Given as what a file of identities holds, or as several such: `AGE-SECRET-KEY-1…`, one a line,
    with comments after `#`, as age-keygen writes them; or one private key of SSH without a
    passphrase, Ed25519 or RSA. Raises `InvalidKey` for something else.
    """

    _secret: _Secret = attrs.field(converter=_identities)

    def __repr__(self) -> str:
        return "Identity(…)"

    def reveal(self) -> list[Any]:
        """The keys as pyrage has them, for what decrypts."""
        keys: list[Any] = self._secret.value
        return keys

    @classmethod
    def of_files(cls, *paths: str | os.PathLike[str]) -> Identity:
        """The identities of files. Raises `FileError`, `InvalidKey`."""
        texts = []
        for path in paths:
            try:
                texts.append(_contents(path).decode())
            except UnicodeDecodeError:
                raise InvalidKey(f"{path} is no text, so that it holds no identity") from None
            _identities_in(texts[-1], str(path))  # which says of which file it is
        return cls(texts)


Encryption = Passphrase | Recipients
Decryption = Passphrase | Identity


def require_encryption(given: object) -> None:
    """See that what is to encrypt can. Raises TypeError, which does not show it."""
    if given is not None and not isinstance(given, Passphrase | Recipients):
        raise TypeError(f"encryption is a Passphrase or Recipients, not {type(given).__name__}")


def require_decryption(given: object) -> None:
    """See that what is to decrypt can. Raises TypeError, which does not show it."""
    if given is not None and not isinstance(given, Passphrase | Identity):
        raise TypeError(f"decryption is a Passphrase or an Identity, not {type(given).__name__}")


def require_agreement(name: str, encryption: Encryption | None) -> None:
    """See that a file's name says whether it is encrypted. Raises `EncryptionMismatch`."""
    if name.endswith(SUFFIX) and encryption is None:
        raise EncryptionMismatch(
            f"{name} is the name of an encrypted file, and nothing encrypts it"
        )
    if not name.endswith(SUFFIX) and encryption is not None:
        raise EncryptionMismatch(f"{name} is to be encrypted, and its name does not say so")


def is_encrypted(start: bytes) -> bool:
    """Whether a file that starts so is encrypted."""
    return start.startswith((_MAGIC, ARMOR))


def pieces(data: bytes) -> Iterator[bytes]:
    """What is held as a whole, in pieces as streams have them."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def pyrage() -> Any:
    """The package. Raises `MissingExtra`."""
    try:
        import pyrage as found  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingExtra.of("crypto", "encryption") from error
    return found


def _recipient(key: str, number: int) -> Any:
    """A public key; what is none may be a secret, and so is not shown."""
    age = pyrage()
    text = key.strip()
    if text.upper().startswith("AGE-SECRET-KEY-") or text.startswith("-----"):
        raise InvalidKey(f"recipient {number} is a private key: name its public half")
    kind = age.ssh if text.startswith("ssh-") else age.x25519
    try:
        return kind.Recipient.from_str(text)
    except (age.RecipientError, ValueError):
        raise InvalidKey(f"recipient {number} is no public key of age or SSH") from None


def _identities_in(text: str, place: str) -> list[Any]:
    """The private keys that a text holds, which is not shown."""
    age = pyrage()
    if text.lstrip().startswith("-----BEGIN AGE ") or text.startswith("age-encryption.org/"):
        raise InvalidKey(f"{place} is encrypted itself: decrypt it first, with age -d")
    if text.lstrip().startswith("-----BEGIN "):
        try:
            return [age.ssh.Identity.from_buffer(text.encode())]
        except (age.IdentityError, ValueError):
            message = "is no private key of SSH that can be used: Ed25519 or RSA, no passphrase"
            raise InvalidKey(f"{place} {message}") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            found.append(age.x25519.Identity.from_str(line.strip()))
        except (age.IdentityError, ValueError):
            raise InvalidKey(f"{place}, line {number}: no AGE-SECRET-KEY-1…") from None
    if not found:
        raise InvalidKey(f"{place} holds no identity")
    return found


def _contents(path: str | os.PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb") as file:
            found = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}", str(path)) from error
    if len(found) > _LARGEST_FILE:
        raise InvalidKey(f"{path} is far too large for keys")
    return found
