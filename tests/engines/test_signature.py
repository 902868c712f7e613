"""Signatures: right, wrong, missing; and keys that are none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import BundleError
from engines.signature import Signature, check_signature, read_keys, sign

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
PRIVATE = KEY.private_bytes(PEM, PKCS8, serialization.NoEncryption())
PUBLIC = KEY.public_key().public_bytes_raw().hex()
SIGNED = sign(b"manifest", PRIVATE)


def write_key(path: Path, key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(key.public_key().public_bytes(PEM, SPKI))


def test_a_trusted_key_is_told(tmp_path: Path) -> None:
    write_key(tmp_path / "keys" / "a.pem", KEY)
    write_key(tmp_path / "keys" / "b.pem", OTHER)
    keys = read_keys(tmp_path / "keys")
    assert keys is not None
    assert len(keys) == 2
    assert check_signature(b"manifest", SIGNED, keys, "x") == PUBLIC


def test_a_right_signature_of_a_stranger_counts_only_where_no_keys_are_given() -> None:
    assert check_signature(b"manifest", SIGNED, None, "x") == PUBLIC
    with pytest.raises(BundleError, match="none of the 1 trusted keys"):
        check_signature(b"manifest", SIGNED, frozenset({OTHER.public_key().public_bytes_raw().hex()}), "x")


def test_no_signature_is_enough_only_where_no_keys_are_given() -> None:
    assert check_signature(b"manifest", None, None, "x") is None
    with pytest.raises(BundleError, match="is not signed"):
        check_signature(b"manifest", None, frozenset({PUBLIC}), "x")


@pytest.mark.parametrize("keys", [None, frozenset({PUBLIC})])
def test_a_signature_of_another_manifest_always_fails(keys: frozenset[str] | None) -> None:
    with pytest.raises(BundleError, match="belongs to another manifest"):
        check_signature(b"manifesT", SIGNED, keys, "x")


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_a_wrong_signature(data: bytes) -> None:
    for keys in (None, frozenset({PUBLIC})):
        with pytest.raises(BundleError, match="wrong signature"):
            check_signature(b"manifest", data, keys, "x")


@given(st.integers(0, 31), st.integers(0, 63), st.integers(1, 255))
def test_a_flipped_bit_of_key_or_signature_fails(at: int, place: int, flip: int) -> None:
    whole = msgspec.json.decode(SIGNED, type=Signature)
    key, signature = bytearray.fromhex(whole.key), bytearray.fromhex(whole.signature)
    key[at] ^= flip
    signature[place] ^= flip
    for broken in (Signature(key.hex(), whole.signature), Signature(whole.key, signature.hex())):
        with pytest.raises(BundleError):
            check_signature(b"manifest", msgspec.json.encode(broken), frozenset({PUBLIC}), "x")


def test_keys_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert read_keys(folder) is None
    folder.mkdir()
    with pytest.raises(BundleError, match="holds no key"):
        read_keys(folder)
    (folder / "a.pem").write_bytes(PRIVATE)
    with pytest.raises(BundleError, match=r"a\.pem is not a readable public key"):
        read_keys(folder)
    write_key(folder / "a.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(BundleError, match="not Ed25519"):
        read_keys(folder)


def test_only_a_plain_ed25519_key_signs() -> None:
    encrypted = KEY.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"secret"))
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, serialization.NoEncryption())
    for key, why in ((encrypted, "can't be read"), (b"", "can't be read"), (curve, "not Ed25519")):
        with pytest.raises(BundleError, match=why):
            sign(b"manifest", key)
