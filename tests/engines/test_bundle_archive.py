"""Archives: the bundle comes back, or nothing does."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import bundle_archive
from engines.bundle import GRAPHS, MANIFEST, MODEL, SCORING, Bundle, load_bundle, save_bundle, verify
from engines.bundle_archive import NAMES, pack, read_archive, unpack
from engines.errors import BundleError
from engines.locate import LARGEST_TEMPLATE, decode_template
from engines.scoring_file import unpack_arrays
from engines.signature import SIGNATURE, sign

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
HOSTILE = [
    "../evil",
    "/etc/passwd",
    "a/model.onnx",
    "./manifest.json",
    "evil.so",
    "",
    "MODEL.ONNX",
    "model.onnx\n",
    "engine.plan",
]
LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE]

Member = tuple[str, bytes, bytes]  # name, type, content


def archive_of(members: list[Member], format: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def members_of(bundle: Bundle) -> list[Member]:
    return [(name, tarfile.REGTYPE, data) for name, data in bundle.files.items()]


@dataclass(frozen=True)
class Signed:
    """The tiny bundle, signed, with the one key that is trusted; its archive, and where in it headers begin."""

    bundle: Bundle
    keys: frozenset[str]
    packed: bytes
    headers: list[int]


@pytest.fixture(scope="session")
def signed(tiny_bundle: Bundle) -> Signed:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    bundle = verify({**tiny_bundle.files, SIGNATURE: sign(tiny_bundle.files[MANIFEST], pem)}, "x")
    with tarfile.open(fileobj=io.BytesIO(pack(bundle))) as archive:
        headers = [member.offset for member in archive]
    return Signed(bundle, frozenset({str(bundle.signer)}), pack(bundle), headers)


def test_a_signature_travels_along(signed: Signed, tiny_bundle: Bundle) -> None:
    assert unpack(signed.packed, "x", signed.keys).signer in signed.keys
    with pytest.raises(BundleError, match="is not signed"):
        unpack(pack(tiny_bundle), "x", signed.keys)


def test_a_bundle_comes_back_whole(tmp_path: Path, tiny_bundle: Bundle) -> None:
    folder = save_bundle(
        tmp_path, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring, fp16=b"half", int8=b"byte", report=b"{}"
    )
    bundle = load_bundle(folder)
    path = tmp_path / "ring.bundle"
    path.write_bytes(pack(bundle))
    again = read_archive(path)
    assert (again.id, again.files) == (bundle.id, bundle.files)
    assert pack(again) == path.read_bytes()


def test_any_order_and_any_tar_will_do(tiny_bundle: Bundle) -> None:
    assert unpack(archive_of(members_of(tiny_bundle)[::-1], tarfile.GNU_FORMAT), "x").id == tiny_bundle.id


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 150])
def test_a_name_that_no_bundle_has_is_refused(tiny_bundle: Bundle, name: str) -> None:
    for members in ([*members_of(tiny_bundle), (name, tarfile.REGTYPE, b"x")], [(name, tarfile.REGTYPE, b"x")]):
        with pytest.raises(BundleError, match=r"belongs to no bundle|no plain file"):
            unpack(archive_of(members, tarfile.GNU_FORMAT), "x")


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("name", [MODEL, "evil"])
def test_what_is_no_plain_file_is_refused(tiny_bundle: Bundle, kind: bytes, name: str) -> None:
    others = [member for member in members_of(tiny_bundle) if member[0] != name]
    with pytest.raises(BundleError, match=r"no plain file|not a bundle's archive"):
        unpack(archive_of([(name, kind, b""), *others]), "x")


def test_a_file_twice_is_refused(tiny_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx twice"):
        unpack(archive_of([*members_of(tiny_bundle), (MODEL, tarfile.REGTYPE, tiny_bundle.model)]), "x")


def test_a_file_that_the_manifest_does_not_list_is_refused(tiny_bundle: Bundle) -> None:
    extra = (GRAPHS["fp16"], tarfile.REGTYPE, b"half")
    with pytest.raises(BundleError, match=r"model\.fp16\.onnx is there and not in manifest\.json"):
        unpack(archive_of([*members_of(tiny_bundle), extra]), "x")


@pytest.mark.parametrize("name", [MANIFEST, MODEL, SCORING])
def test_a_file_that_lacks_is_named(tiny_bundle: Bundle, name: str) -> None:
    with pytest.raises(BundleError, match=name):
        unpack(archive_of([member for member in members_of(tiny_bundle) if member[0] != name]), "x")


def test_extended_headers_are_refused(tiny_bundle: Bundle) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(MODEL)
        member.pax_headers = {"path": "../../evil"}
        archive.addfile(member)
    with pytest.raises(BundleError, match=r"no plain file"):
        unpack(buffer.getvalue(), "x")


def test_a_compressed_archive_is_none(tiny_bundle: Bundle) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(MODEL))
    with pytest.raises(BundleError, match="not a bundle's archive"):
        unpack(buffer.getvalue(), "x")


def test_a_file_too_large_is_refused_before_it_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_archive, "LARGEST", 1 << 20)
    path = tmp_path / "large.bundle"
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(BundleError, match="larger than 1 MiB"):
        read_archive(path)


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.bundle: No such file"):
        read_archive(tmp_path / "none.bundle")


def test_arrays_that_claim_to_be_huge_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("mean0.npy", "w") as file:
        for _ in range(257):
            file.write(bytes(1 << 20))
    assert len(buffer.getvalue()) < 1 << 20
    with pytest.raises(Exception, match="bytes unpacked, more than"):
        unpack_arrays(buffer.getvalue())


def test_a_template_that_claims_to_be_huge_is_refused() -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (LARGEST_TEMPLATE).to_bytes(4, "big") + (2).to_bytes(4, "big")
    with pytest.raises(Exception, match="not a readable picture"):
        decode_template(header + b"\x08\0\0\0\0" + bytes(64))


@FIXTURES
@given(data=st.data())
def test_a_damaged_archive_gives_the_same_bundle_or_none(signed: Signed, data: st.DataObject) -> None:
    packed = bytearray(signed.packed)
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers are where the parser decides: half of the damage goes there.
        start = data.draw(st.sampled_from(signed.headers) | st.integers(0, len(packed) - 1))
        at = start + data.draw(st.integers(0, 511))
        junk = data.draw(st.binary(max_size=16))
        packed[at : at + data.draw(st.sampled_from([0, len(junk), 512]))] = junk
    _same_or_none(bytes(packed), signed)


@FIXTURES
@given(data=st.data())
def test_any_set_of_members_gives_the_same_bundle_or_none(signed: Signed, data: st.DataObject) -> None:
    names = st.sampled_from([*sorted(NAMES), *HOSTILE])
    kinds = st.sampled_from([tarfile.REGTYPE] * 4 + LINKS)
    strange = st.tuples(names, kinds, st.binary(max_size=40))
    members = data.draw(st.permutations(members_of(signed.bundle)))
    for member in data.draw(st.lists(strange, max_size=3)):
        members.insert(data.draw(st.integers(0, len(members))), member)
    _same_or_none(archive_of(members), signed)


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_no_archive(data: bytes) -> None:
    with pytest.raises(BundleError):
        unpack(data, "x")


@FIXTURES
@given(
    st.dictionaries(
        st.sampled_from(["format", "files", "input", "levels", "created"]),
        st.none() | st.integers() | st.text(max_size=9),
    )
)
def test_a_manifest_of_anything_gives_the_same_bundle_or_none(tiny_bundle: Bundle, changes: dict[str, object]) -> None:
    document = msgspec.json.decode(tiny_bundle.files[MANIFEST])
    raw = msgspec.json.encode({**document, **changes})
    try:
        bundle = verify({**tiny_bundle.files, MANIFEST: raw}, "x")
    except BundleError:
        return
    assert bundle.files[MODEL] == tiny_bundle.model


def _same_or_none(packed: bytes, signed: Signed) -> None:
    """What is not signed may be another bundle, in itself consistent; what is signed can not."""
    try:
        again = unpack(packed, "x", signed.keys)
    except BundleError:
        return
    assert again.files == signed.bundle.files
