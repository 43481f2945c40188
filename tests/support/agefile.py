"""Files of the age format, made here: an encryption of its own, with next to no work for scrypt.

https://c2sp.org/age, RFC 8439 (ChaCha20-Poly1305), RFC 5869 (HKDF), RFC 7914 (scrypt).
"""

import base64
import hashlib
import hmac
import os
import struct

_CHUNK = 64 * 1024
_NONE = bytes(12)


def with_passphrase(plain: bytes, passphrase: str, *, work: int = 1) -> bytes:
    """What opens with a passphrase, at a work of 2 to some power."""
    file_key, salt = os.urandom(16), os.urandom(16)
    wrapping = hashlib.scrypt(
        passphrase.encode(),
        salt=b"age-encryption.org/v1/scrypt" + salt,
        n=2**work,
        r=8,
        p=1,
        dklen=32,
    )
    body = _base64(_sealed(wrapping, _NONE, file_key))
    header = b"age-encryption.org/v1\n-> scrypt %b %d\n%b\n---" % (_base64(salt), work, body)
    mac = hmac.digest(_hkdf(file_key, b"", b"header"), header, "sha256")
    nonce = os.urandom(16)
    payload = _payload(_hkdf(file_key, nonce, b"payload"), plain)
    return header + b" " + _base64(mac) + b"\n" + nonce + payload


def _payload(key: bytes, plain: bytes) -> bytes:
    starts = range(0, max(len(plain), 1), _CHUNK)
    last = len(starts) - 1
    return b"".join(
        _sealed(key, number.to_bytes(11) + bytes([number == last]), plain[start : start + _CHUNK])
        for number, start in enumerate(starts)
    )


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def _sealed(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """ChaCha20-Poly1305, with nothing but the text to authenticate."""
    blocks = range(1, len(plain) // 64 + 2)
    stream = b"".join(_block(key, number, nonce) for number in blocks)
    sealed = bytes(a ^ b for a, b in zip(plain, stream, strict=False))
    authenticated = sealed + bytes(-len(sealed) % 16) + struct.pack("<QQ", 0, len(sealed))
    return sealed + _poly1305(_block(key, 0, nonce)[:32], authenticated)


def _block(key: bytes, number: int, nonce: bytes) -> bytes:
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
    start += [number, *struct.unpack("<3I", nonce)]
    state = list(start)
    for _ in range(10):
        for a in range(4):
            _quarter(state, a, a + 4, a + 8, a + 12)
        for a in range(4):
            _quarter(state, a, (a + 1) % 4 + 4, (a + 2) % 4 + 8, (a + 3) % 4 + 12)
    return struct.pack("<16I", *((x + y) % 2**32 for x, y in zip(state, start, strict=True)))


def _quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for to, by, turned, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[to] = (state[to] + state[by]) % 2**32
        mixed = state[turned] ^ state[to]
        state[turned] = (mixed << shift | mixed >> (32 - shift)) % 2**32


def _poly1305(key: bytes, data: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(data), 16):
        total = (total + int.from_bytes(data[start : start + 16] + b"\1", "little")) * r
        total %= 2**130 - 5
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")
