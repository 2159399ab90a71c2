"""Secret keys: written, read, protected, refused; signatures that repeat; both as minisign has them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from shutil import which

import pytest

import bundles
from vultus.bundle.signature import public_key_from_file, signature_from_text, verify
from vultus.errors import InputError, ModelError
from vultus_export.bundle.signing import new_key, secret_key_from_file, sign, write_pair

# Made by minisign 0.11; the first without a password, the second with "correct horse".
PLAIN = (
    "untrusted comment: minisign encrypted secret key\n"
    "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWenMSb9OQKh7Icwa9lKXx4FzxRrpF"
    "/zIC94R4CQdVfAuYn8ZFS3OW+rQa0uqC5nvrehd43YMB2V/2rRs5+ZGn8OnK9I4opDCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAA=\n"
)
LOCKED = (
    "untrusted comment: minisign encrypted secret key\n"
    "RWRTY0IyGh/ouqOyiHcdfjIvWJv1Tt3RZ2+6DA+NdmIANOCHGb0AAAACAAAAAAAAAEAAAAAAVMGnPl4xbkvGhPOCiyNm88TSuJwwwYyDR"
    "Bvz5bJquAGjJG2O1Ic7kPnNGW+nQhVWqpjVHBqlXr4bUjnAXuFrFnsIAx1WGS3jVM1Gd+1xbZaiJ91hQm3v0A2C4wsJ6pHA4xrk5kWVJFs="
    "\n"
)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "minisign.key"
    file.write_text(text)
    return file


def test_a_pair_is_written_and_read(tmp_path: Path) -> None:
    key = new_key()
    secret, public = write_pair(tmp_path / "mine", key)
    assert (secret.name, public.name) == ("mine.key", "mine.pub")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret_key_from_file(secret) == key
    verify(
        b"data", signature_from_text(sign(b"data", key, "c").encode(), "S"), public_key_from_file(public), "S"
    )


def test_two_new_keys_differ() -> None:
    assert new_key() != new_key()


def test_a_password_protects_the_key(tmp_path: Path) -> None:
    secret, _ = write_pair(tmp_path / "mine", bundles.KEY, "correct horse")
    assert bundles.KEY.seed not in secret.read_bytes()
    assert secret_key_from_file(secret, "correct horse") == bundles.KEY
    with pytest.raises(
        ModelError, match=r"mine\.key is protected by a password; give it in .* VULTUS_BUNDLE_PASSWORD"
    ):
        secret_key_from_file(secret)
    with pytest.raises(ModelError, match=r"the password in VULTUS_BUNDLE_PASSWORD does not open .*mine\.key"):
        secret_key_from_file(secret, "wrong horse")


def test_keys_of_minisign_are_read(tmp_path: Path) -> None:
    assert secret_key_from_file(written(tmp_path, PLAIN)).name == "A8404EBF49CCE959"


@pytest.mark.slow
def test_a_protected_key_of_minisign_is_read(tmp_path: Path) -> None:
    assert secret_key_from_file(written(tmp_path, LOCKED), "correct horse").name == "FF56F60C406845B7"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_pair(tmp_path / "mine", bundles.KEY)
    (tmp_path / "mine.key").unlink()
    with pytest.raises(
        InputError, match=r"mine\.pub exists, and a key is never overwritten; choose another --out"
    ):
        write_pair(tmp_path / "mine", bundles.OTHER_KEY)
    assert not (tmp_path / "mine.key").exists()


FAULTY = {
    "empty": ("", "is not a secret key of minisign; make one with: vultus-export bundle-key"),
    "text": ("hello\nthere\n", "is not a secret key of minisign"),
    "cut": (PLAIN[:-9], "is not a secret key of minisign"),
    "halves": (PLAIN.replace("ehd43", "ehd44"), "is damaged: its two halves do not belong together"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_secret_key_is_refused(tmp_path: Path, case: str) -> None:
    text, message = FAULTY[case]
    with pytest.raises(ModelError, match=f"minisign.key {message}"):
        secret_key_from_file(written(tmp_path, text))


def test_a_missing_secret_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.key cannot be read: No such file"):
        secret_key_from_file(tmp_path / "absent.key")


def test_signatures_repeat_and_keys_do_not_print_their_secret() -> None:
    assert sign(b"data", bundles.KEY, "c") == sign(b"data", bundles.KEY, "c")
    assert sign(b"data", bundles.KEY, "c") != sign(b"date", bundles.KEY, "c")
    assert repr(bundles.KEY) == f"SecretKey({bundles.KEY_NAME})"


@pytest.mark.skipif(which("minisign") is None, reason="the command minisign is not installed")
@pytest.mark.parametrize("password", [None, "correct horse"])
def test_minisign_reads_our_keys_and_signatures(tmp_path: Path, password: str | None) -> None:
    secret, public = write_pair(tmp_path / "mine", bundles.KEY, password)
    data = tmp_path / "SHA256SUMS"
    data.write_bytes(b"data\n")
    (tmp_path / "SHA256SUMS.minisig").write_text(sign(b"data\n", bundles.KEY, "by vultus"))
    ours = ["minisign", "-QVm", str(data), "-p", str(public)]
    assert subprocess.run(ours, check=True, capture_output=True, text=True).stdout.strip() == "by vultus"
    theirs = ["minisign", "-Sm", str(data), "-s", str(secret)]
    subprocess.run(theirs, check=True, input=f"{password}\n", text=True)
    signature = signature_from_text((tmp_path / "SHA256SUMS.minisig").read_bytes(), "S")
    verify(b"data\n", signature, public_key_from_file(public), "S")
