"""Keys and passphrases, and the archives that they open or do not."""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from databackup.errors.archives import ArchiveError, ArchiveInvalid, ArchiveTruncated
from databackup.errors.root import DatabackupError

_AGAIN: Final = "Copy or download the file again, or take another backup"


class InvalidKey(DatabackupError):
    """A recipient, an identity or a passphrase that is none. What it is, no message shows."""

    code: ClassVar[str] = "invalid-key"
    remedy: ClassVar[str] = (
        "Recipients are age1… or public keys of SSH, identities AGE-SECRET-KEY-1… or private keys "
        "of SSH without a passphrase; age-keygen makes both"
    )


class EncryptionMismatch(DatabackupError):
    """A file's name says that it is encrypted and nothing else does, or the other way round."""

    code: ClassVar[str] = "encryption-mismatch"
    remedy: ClassVar[str] = (
        "Names of encrypted files end with .age, and no others: encryption=Recipients([…]) or "
        "Passphrase(…), --encrypt-to or --passphrase-file encrypt"
    )


@attrs.define(slots=False, eq=False)
class TooLargeForPassphrase(DatabackupError):
    """More was to be encrypted with a passphrase than `allowed`: it has to be held in memory."""

    code: ClassVar[str] = "too-large-for-passphrase"
    remedy: ClassVar[str] = (
        "Compress it (.zst.age, .gz.age), or encrypt to recipients, which takes files of any size: "
        "age-keygen makes a key, encryption=Recipients([…]) or --encrypt-to names its public half"
    )

    allowed: int = 0


@attrs.define(slots=False, eq=False)
class DecryptionRequired(ArchiveError):
    """The archive is encrypted, and what opens it was not given: `needs` says of which kind."""

    code: ClassVar[str] = "decryption-required"
    remedy: ClassVar[str] = (
        "Encrypted to recipients: decryption=Identity(…), --identity FILE; with a passphrase: "
        "decryption=Passphrase(…), --passphrase-file FILE"
    )

    needs: str = ""


class WrongPassphrase(ArchiveError):
    """The passphrase does not open the archive."""

    code: ClassVar[str] = "wrong-passphrase"
    remedy: ClassVar[str] = (
        "Give the passphrase that it was encrypted with; if that is the one, its header is "
        "damaged: copy the file again, or take another backup"
    )


class WrongKey(ArchiveError):
    """None of the identities opens the archive."""

    code: ClassVar[str] = "wrong-key"
    remedy: ClassVar[str] = (
        "Give the identity of a recipient that it was encrypted to; if that is the one, its header "
        "is damaged: copy the file again, or take another backup"
    )


class EncryptionBroken(ArchiveInvalid):
    """Bytes of the encrypted archive were changed."""

    code: ClassVar[str] = "encryption-broken"
    remedy: ClassVar[str] = _AGAIN


class EncryptionCutOff(EncryptionBroken, ArchiveTruncated):
    """The last part of the encrypted archive is missing or was changed: which, cannot be told."""

    code: ClassVar[str] = "encryption-cut-off"
    remedy: ClassVar[str] = _AGAIN
