"""Keys for tests, made once."""

import functools

import pyrage

from databackup import Identity, Passphrase, Recipients

WORD = "correct horse"
PASSPHRASE = Passphrase(WORD)


def private(number: int = 1) -> str:
    """A private key of age."""
    return str(_key(number))


def public(number: int = 1) -> str:
    """Its public half."""
    return str(_key(number).to_public())


def identity(number: int = 1) -> Identity:
    """What opens what was encrypted to `recipients` of the same number."""
    return Identity(private(number))


def recipients(*numbers: int) -> Recipients:
    """Public keys, by default the first one."""
    return Recipients([public(number) for number in numbers or (1,)])


@functools.cache
def _key(_number: int) -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()
