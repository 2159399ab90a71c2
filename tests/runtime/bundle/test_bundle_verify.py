"""A bundle is refused for a changed byte anywhere, a missing or added file, and the wrong signer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bundles
from vultus.bundle.load import install
from vultus.bundle.verify import verify_bundle
from vultus.errors import DeviceError, ModelError
from vultus_export.bundle.signing import SecretKey

MODEL = "models/tiny-detector.onnx"
FILES = [
    "bundle.json",
    "licences/Apache-2.0.txt",
    "licences/MIT.txt",
    "models/tiny-detector-int8.calibration.json",
    "models/tiny-detector-int8.md",
    "models/tiny-detector-int8.onnx",
    "models/tiny-detector-int8.spec.json",
    "models/tiny-detector.md",
    "models/tiny-detector.onnx",
    "models/tiny-detector.spec.json",
    "models/tiny-face.md",
    "models/tiny-face.onnx",
    "models/tiny-face.spec.json",
    "sbom.cdx.json",
]
UNTRUSTED = b"untrusted comment: "


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_bundle_holds_these_files_and_proves_its_signer(signed: Path, public: Path) -> None:
    verified = verify_bundle(signed, public)
    assert list(verified.sums) == FILES
    assert verified.authentic
    assert verified.signature is not None
    assert verified.signature.key_name == bundles.KEY_NAME == "0706050403020100"
    told = [(model.name, model.precision, model.licence) for model in verified.manifest.models]
    assert told == [
        ("tiny-detector", "fp32", "Apache-2.0"),
        ("tiny-detector", "int8", "Apache-2.0"),
        ("tiny-face", "fp32", "Apache-2.0 AND MIT"),
    ]


def test_without_a_key_nothing_is_said_of_the_signer(signed: Path) -> None:
    assert not verify_bundle(signed).authentic


def test_any_changed_byte_of_the_archive_is_refused(signed: Path, tmp_path: Path) -> None:
    data = signed.read_bytes()
    places = {*range(64), *range(0, len(data), 23), *range(len(data) - 64, len(data))}
    file = tmp_path / "changed.tar.zst"
    for place in sorted(places):
        file.write_bytes(flipped(data, place))
        with pytest.raises(ModelError, match=r"changed.tar.zst (was changed|is not a bundle)"):
            verify_bundle(file)


@pytest.mark.parametrize("cut", [1, 40, 41, 1000])
def test_a_shortened_archive_is_refused(signed: Path, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "short.tar.zst"
    file.write_bytes(signed.read_bytes()[:-cut])
    with pytest.raises(ModelError, match=r"short.tar.zst is not a bundle of vultus, or its end is missing"):
        verify_bundle(file)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_of_the_contents_is_refused_under_a_fitting_seal(
    signed: Path, public: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    tar = bundles.tar_of(bundles.parts_in(signed))
    place = int(share * len(tar))
    file = bundles.seal(tmp_path_factory.getbasetemp() / "inner.tar.zst", flipped(tar, place))
    comment = tar.index(UNTRUSTED) + len(UNTRUSTED)  # the one text that minisign leaves unsigned, as it says
    free = comment <= place < tar.index(b"\n", comment)
    with nullcontext() if free else pytest.raises(ModelError, match=r"inner.tar.zst"):
        verify_bundle(file, public)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_named(parts: dict[str, bytes], tmp_path: Path, name: str) -> None:
    parts[name] = flipped(parts[name], len(parts[name]) // 2)
    file = bundles.pack(tmp_path / "b.tar.zst", parts)
    with pytest.raises(ModelError, match=f"b.tar.zst: {name} was changed or damaged: its SHA-256 is"):
        verify_bundle(file)


def test_a_changed_file_with_checksums_made_to_fit_fails_the_signature(
    parts: dict[str, bytes], public: Path, tmp_path: Path
) -> None:
    parts[MODEL] = flipped(parts[MODEL], 100)
    forged = bundles.listed_anew(parts) | {"SHA256SUMS.minisig": parts["SHA256SUMS.minisig"]}
    order = sorted(forged, key=lambda name: (not name.startswith("SHA"), name))
    file = bundles.pack(tmp_path / "b.tar.zst", {name: forged[name] for name in order})
    with pytest.raises(ModelError, match=r"the signature of .*b.tar.zst: SHA256SUMS does not fit"):
        verify_bundle(file, public)


def test_every_byte_of_the_signature_counts(parts: dict[str, bytes], public: Path, tmp_path: Path) -> None:
    signature = parts["SHA256SUMS.minisig"]
    begin = signature.index(b"\n") + 1  # the first line is a comment that nothing signs
    for place in range(begin, len(signature), 3):
        parts["SHA256SUMS.minisig"] = flipped(signature, place)
        file = bundles.pack(tmp_path / "b.tar.zst", parts)
        with pytest.raises(ModelError, match=r"b\.tar\.zst: SHA256SUMS"):
            verify_bundle(file, public)


def test_the_trusted_comment_is_signed_too(parts: dict[str, bytes], public: Path, tmp_path: Path) -> None:
    parts["SHA256SUMS.minisig"] = parts["SHA256SUMS.minisig"].replace(b"vultus bundle", b"VULTUS bundle")
    with pytest.raises(ModelError, match=r"the trusted comment in the signature of .* was changed"):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", parts), public)


@pytest.mark.parametrize("name", ["SHA256SUMS", *FILES])
def test_a_missing_file_is_named(parts: dict[str, bytes], tmp_path: Path, name: str) -> None:
    del parts[name]
    with pytest.raises(ModelError, match=rf"b\.tar\.zst: {name} is missing"):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", parts))


@pytest.mark.parametrize("name", ["aaa.txt", "models/extra.onnx", "zzz.txt"])
def test_an_added_file_is_named(parts: dict[str, bytes], tmp_path: Path, name: str) -> None:
    head = {part: parts.pop(part) for part in ("SHA256SUMS", "SHA256SUMS.minisig")}
    added = {**head, **dict(sorted({**parts, name: b"more"}.items()))}
    with pytest.raises(ModelError, match=f"holds {name}, which SHA256SUMS does not list"):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", added))


def test_the_wrong_key_is_refused_by_name(signed: Path, tmp_path: Path) -> None:
    other = bundles.public_key(tmp_path, bundles.OTHER_KEY)
    with pytest.raises(
        ModelError, match=f"is signed by key {bundles.KEY_NAME}, and .* is key 0F0E0D0C0B0A0908"
    ):
        verify_bundle(signed, other)


def test_a_key_that_takes_the_signers_name_is_refused(signed: Path, tmp_path: Path) -> None:
    thief = SecretKey(bundles.KEY.id, bundles.OTHER_KEY.seed)
    with pytest.raises(ModelError, match="SHA256SUMS does not fit"):
        verify_bundle(signed, bundles.public_key(tmp_path, thief))


def test_an_unsigned_bundle_is_refused_where_a_key_is_given(
    parts: dict[str, bytes], public: Path, tmp_path: Path
) -> None:
    del parts["SHA256SUMS.minisig"]
    file = bundles.pack(tmp_path / "b.tar.zst", parts)
    assert verify_bundle(file).signature is None
    with pytest.raises(
        ModelError, match=r"b\.tar\.zst is not signed, and a signature of key 0706050403020100"
    ):
        verify_bundle(file, public)


def test_a_malformed_signature_is_refused_without_a_key_too(parts: dict[str, bytes], tmp_path: Path) -> None:
    parts["SHA256SUMS.minisig"] = b"trust me\n"
    with pytest.raises(ModelError, match=r"SHA256SUMS\.minisig is not a signature of minisign"):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", parts))


INDEX_CASES: dict[str, tuple[dict[str, object], str]] = {
    "schema": ({"schema": 2}, "bundle.json is of schema 2, this vultus reads schema 1"),
    "type": ({"models": 5}, r"bundle.json is malformed: Expected `array`, got `int`"),
    "unknown key": ({"more": 1}, "bundle.json is not as vultus writes it"),
    "no model": ({"models": []}, "bundle.json does not name models/tiny-detector-int8.calibration.json"),
}


@pytest.mark.parametrize("case", INDEX_CASES)
def test_a_faulty_index_is_refused(parts: dict[str, bytes], tmp_path: Path, case: str) -> None:
    change, message = INDEX_CASES[case]
    index = {**json.loads(parts["bundle.json"]), **change}
    parts["bundle.json"] = (json.dumps(index, sort_keys=True, indent=2) + "\n").encode()
    with pytest.raises(ModelError, match=message):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", bundles.listed_anew(parts)))


SUMS_CASES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda text: b"", "SHA256SUMS is empty, or not sorted"),
    "unsorted": (lambda text: b"".join(reversed(text.splitlines(True))), "not sorted"),
    "twice": (lambda text: text + text.splitlines(True)[-1], "names a file twice"),
    "malformed": (lambda text: b"zz" + text, "line 1 of SHA256SUMS is malformed"),
    "outside": (
        lambda text: text.replace(b"sbom.cdx.json", b"../cdx.json"),
        r"a file named '\.\./cdx\.json'",
    ),
}


@pytest.mark.parametrize("case", SUMS_CASES)
def test_faulty_checksums_are_refused(parts: dict[str, bytes], tmp_path: Path, case: str) -> None:
    change, message = SUMS_CASES[case]
    parts["SHA256SUMS"] = change(parts["SHA256SUMS"])
    with pytest.raises(ModelError, match=message):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", parts))


def test_an_installed_bundle_is_checked_in_the_same_way(signed: Path, public: Path, tmp_path: Path) -> None:
    folder = install(signed, tmp_path / "installed", public).folder
    assert verify_bundle(folder, public) == verify_bundle(signed, public)
    (folder / "README").write_text("hello")
    with pytest.raises(ModelError, match="installed holds README, which SHA256SUMS does not list"):
        verify_bundle(folder, public)
    (folder / "README").unlink()
    model = folder / MODEL
    model.write_bytes(flipped(model.read_bytes(), 1))
    with pytest.raises(ModelError, match=f"installed: {MODEL} was changed or damaged"):
        verify_bundle(folder, public)
    model.unlink()
    with pytest.raises(ModelError, match=f"installed: {MODEL} is missing"):
        verify_bundle(folder, public)
    model.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ModelError, match=r"tiny-detector\.onnx is a link or no plain file"):
        verify_bundle(folder, public)


def test_what_is_no_bundle_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no bundle"):
        verify_bundle(tmp_path / "none.tar.zst")
    (tmp_path / "text.tar.zst").write_text("short")
    with pytest.raises(ModelError, match=r"text.tar.zst is not a bundle of vultus"):
        verify_bundle(tmp_path / "text.tar.zst")
    with pytest.raises(ModelError, match="SHA256SUMS is missing; this is not a bundle"):
        verify_bundle(tmp_path)


@pytest.mark.parametrize("package", ["zstandard", "cryptography"])
def test_a_missing_package_is_named_with_its_extra(
    signed: Path, public: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match=rf"needs the package {package}: pip install 'vultus\[bundle\]'"):
        verify_bundle(signed, public)


def test_checking_an_installed_unsigned_bundle_needs_no_package(
    parts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del parts["SHA256SUMS.minisig"]
    folder = install(bundles.pack(tmp_path / "b.tar.zst", parts), tmp_path / "installed").folder
    for package in ("zstandard", "cryptography"):
        monkeypatch.setitem(sys.modules, package, None)
    assert list(verify_bundle(folder).sums) == FILES
    shutil.rmtree(folder)
