"""Where the nonces come from. No two different messages under one key ever get the same one.

A message is what AES-GCM encrypts and authenticates: the serialized payload and its associated data. The
very same message under the same key may be given the nonce that it had: it becomes the same bytes, and
whoever sees them learns that two payloads are equal and nothing more. So a store that goes by the bytes
keeps them once.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_SIZE = 12
_MOST_ADDED = 1024
"""Bytes by which a payload grows when it is encrypted, with room for what other codecs put around it."""
MOST_REMEMBERED = 32 * 1024
"""Nonces of one process: about 8 MB."""
_FINGERPRINT_SIZE = 16
_SAME_NONCE = bytes(NONCE_SIZE)

NonceOf = Callable[[bytes, bytes | None, Sequence[bytes]], bytes]
"""Returns a nonce for the nonce key, the associated data, and the plaintext in pieces."""


def nonce_key(key: bytes) -> bytes:
    """Derive from an encryption key what its nonces are made with. They tell nothing of that key."""
    return HKDF(SHA256(), length=32, salt=None, info=b"temporal-payloads nonce").derive(key)


def deterministic_nonce(key: bytes, associated_data: bytes | None, plaintext: Sequence[bytes]) -> bytes:
    """Return the nonce that this message always has, in every process.

    It is the beginning of an HMAC-SHA256 of the message: to whoever does not have the key as good as
    random, so that different messages get the same nonce no more often than with random ones, and the same
    limit of 2^32 messages holds (NIST SP 800-38D, section 8.3).

    Args:
        key: `nonce_key` of the key that encrypts.
        associated_data: What is authenticated beside the plaintext.
        plaintext: What is encrypted, in pieces.
    """
    made = hmac.new(key, digestmod="sha256")
    beside = associated_data or b""
    made.update(len(beside).to_bytes(8, "big") + beside)
    for piece in plaintext:
        made.update(piece)
    return made.digest()[:NONCE_SIZE]


def random_nonce(key: bytes, associated_data: bytes | None, plaintext: Sequence[bytes]) -> bytes:
    """Return a nonce that nobody has had."""
    del key, associated_data, plaintext
    return os.urandom(NONCE_SIZE)


class NonceMemory:
    """Random nonces, of which the latest are remembered with what they were for. Threads may share it.

    A message is recognised by a fingerprint, the tag of AES-GMAC under a key that this process has made up.
    Neither that key nor any fingerprint leaves this object. Such a tag is a polynomial of the message at a
    secret point: two different messages of n blocks of 16 bytes, whoever chose them, have the same one with
    a probability of about n / 2^128. With 2^32 messages of a mebibyte, each held against all that are
    remembered, that makes a chance of 2^-65 that one is ever given another one's nonce, while random nonces
    meet with one of 2^-33. A hash, SHA-256 for instance, would do too, and take several times as long as
    the encryption itself.

    Args:
        most: How many are remembered.
    """

    def __init__(self, *, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        secret = AESGCM.generate_key(256)
        self._at_once = AESGCM(secret)
        self._in_pieces = AES256(secret)
        self._nonces: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._nonces)

    def nonce(self, key: bytes, associated_data: bytes | None, plaintext: Sequence[bytes]) -> bytes:
        """Return the nonce that this very message had not long ago, or a new one.

        Args:
            key: `nonce_key` of the key that encrypts.
            associated_data: What is authenticated beside the plaintext.
            plaintext: What is encrypted, in pieces.
        """
        nonce = random_nonce(key, associated_data, plaintext)
        fingerprint = self._fingerprint(key, associated_data, plaintext)
        with self._lock:
            nonce = self._nonces.setdefault(fingerprint, nonce)
            self._nonces.move_to_end(fingerprint)
            if len(self._nonces) > self._most:
                self._nonces.popitem(last=False)
        return nonce

    def _fingerprint(self, key: bytes, associated_data: bytes | None, plaintext: Sequence[bytes]) -> bytes:
        # GMAC tells apart what is only authenticated from what is encrypted, and their lengths: the
        # plaintext is the former here, so that it is only read, and what is beside it the latter; keys are
        # all of one length. All fingerprints share a nonce: equal messages have equal ones by that. It
        # would be a mistake if anybody could see them.
        beside = key + (associated_data or b"")
        if len(plaintext) == 1:
            return self._at_once.encrypt(_SAME_NONCE, beside, plaintext[0])[-_FINGERPRINT_SIZE:]
        made = Cipher(self._in_pieces, GCM(_SAME_NONCE)).encryptor()
        for piece in plaintext:
            made.authenticate_additional_data(piece)
        made.update(beside)
        made.finalize()
        return made.tag


@cache
def nonce_memory() -> NonceMemory:
    """Return the memory of this process. All codecs share it: a converter is often built more than once."""
    return NonceMemory()


def nonces(remember_from: int | None) -> NonceOf:
    """Return the source of random nonces.

    Args:
        remember_from: Bytes of an encrypted payload from which the same one gets the same nonce again; None
            for never. It is for stores: nobody compares the bytes of what stays in the history.
    """
    if remember_from is None:
        return random_nonce

    def nonce_of(key: bytes, associated_data: bytes | None, plaintext: Sequence[bytes]) -> bytes:
        small = sum(map(len, plaintext)) + _MOST_ADDED < remember_from
        return (random_nonce if small else nonce_memory().nonce)(key, associated_data, plaintext)

    return nonce_of


if hasattr(os, "register_at_fork"):
    # A thread of the parent may hold the lock, and there is none in the child to let it go.
    os.register_at_fork(after_in_child=nonce_memory.cache_clear)
