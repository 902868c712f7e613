"""Ed25519 signatures of bundles: of the manifest's bytes, and through its sha256 sums of every file.

Without keys a signature only has to be right. With keys, the public ones that a box trusts, every bundle must be signed
by one of them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from engines.errors import BundleError

SIGNATURE = "signature.json"

Keys = frozenset[str]  # Ed25519 public keys, 64 hexadecimal digits each


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `signature.json` holds: the public key (32 bytes) and the signature (64 bytes), both hexadecimal."""

    key: str
    signature: str


def sign(message: bytes, private_key: bytes) -> bytes:
    """The bytes of `signature.json` for a manifest.

    Args:
        private_key: an Ed25519 private key, PEM, PKCS 8, not encrypted.

    Raises:
        BundleError: the key is another kind of thing.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(private_key, None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise BundleError(f"the private key can't be read: {error}; {_HOW_TO_MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"the private key is {type(key).__name__}, not Ed25519; {_HOW_TO_MAKE}")
    public = key.public_key().public_bytes_raw().hex()
    return msgspec.json.format(msgspec.json.encode(Signature(public, key.sign(message).hex())), indent=1)


def check_signature(message: bytes, signature: bytes | None, keys: Keys | None, where: str) -> str | None:
    """Who signed a manifest: the public key, or None where nobody did and nobody had to.

    Args:
        signature: the bytes of `signature.json`; None: there is none.
        keys: those that are trusted; None: any.

    Raises:
        BundleError: the signature is wrong, or by a key that is not trusted, or missing although keys are given.
    """
    if signature is None:
        if keys is None:
            return None
        raise BundleError(f"{where} is not signed, and this box asks for it; inspector bundle sign")
    key = _signer(message, signature, where)
    if keys is not None and key not in keys:
        raise BundleError(f"{where} is signed by {key[:16]}, which is none of the {len(keys)} trusted keys")
    return key


def read_keys(folder: Path) -> Keys | None:
    """The trusted keys: each `*.pem` of a folder. None: the folder does not exist, so no signature is asked for.

    Raises:
        BundleError: a file is no Ed25519 public key, or there is none: an empty folder would trust nobody.
    """
    if not folder.is_dir():
        return None
    keys = frozenset(_public_key(path) for path in sorted(folder.glob("*.pem")))
    if not keys:
        raise BundleError(
            f"{folder} holds no key, so no bundle can be trusted; put public keys (*.pem) in, or remove it"
        )
    return keys


def _signer(message: bytes, signature: bytes, where: str) -> str:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = msgspec.json.decode(signature, type=Signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.key)).verify(bytes.fromhex(found.signature), message)
    except (msgspec.DecodeError, ValueError, InvalidSignature, RecursionError) as error:
        reason = str(error) or "it belongs to another manifest"
        raise BundleError(f"{where} has a wrong signature ({reason}); get the bundle again from who made it") from error
    return bytes.fromhex(found.key).hex()


def _public_key(path: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"{path} is not a readable public key: {error}; {_HOW_TO_MAKE}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path} is {type(key).__name__}, not Ed25519; {_HOW_TO_MAKE}")
    return key.public_bytes_raw().hex()


_HOW_TO_MAKE = "docs/BUNDLE.md says how to make one"
