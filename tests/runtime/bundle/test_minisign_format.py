"""Keys and signatures that minisign 0.11 made are read as it reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vultus.bundle.signature import key_name, public_key_from_file, signature_from_text, verify
from vultus.errors import ModelError

MESSAGE = b"hello bundle\n"
KEY = """untrusted comment: minisign public key A8404EBF49CCE959
RWRZ6cxJv05AqOrQa0uqC5nvrehd43YMB2V/2rRs5+ZGn8OnK9I4opDC
"""
SIGNATURE = """untrusted comment: signature from minisign secret key
RURZ6cxJv05AqCBWlbhYoRGp+o3GL++gU70xlL6UfUsxvnTo3mtlfmrSUKOQMB+PibEbcE0m6fbIAWbX9o1NcQ18DGgKnR9Wlgw=
trusted comment: a trusted word
+g75X8oXOTe/yTjRHF8i7Bjmd0KuG0R/4rjq5YWppw7Ln5ZnvJ7IhxoX8peF6Q0HP1eoA8UzaBV65LpwdaGnDA==
"""
LEGACY = """untrusted comment: signature from minisign secret key
RWRZ6cxJv05AqEmjo05AhTk+G/EJQLHLm7mcCoSZvzUq3dbO1vMLIjPPjdnaSJDqexECmtCzrmQgB8ggOh8Ys4nKGIwpN3ZZ5QI=
trusted comment: a trusted word
i86vZnqughJG/wwwAM3GjewmYijvDGM67+EFhGHAPekCmQE1+2Rv7q3r2HAifG8yvO0C0hi7FccEtlSQRcbeCA==
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "minisign.pub"
    file.write_text(KEY)
    return file


def test_a_signature_of_minisign_fits(key_file: Path) -> None:
    key, signature = public_key_from_file(key_file), signature_from_text(SIGNATURE.encode(), "S")
    verify(MESSAGE, signature, key, "S")
    assert key.name == signature.key_name == key_name(key.id) == "A8404EBF49CCE959"
    assert signature.comment == "a trusted word"


def test_another_message_does_not_fit(key_file: Path) -> None:
    key, signature = public_key_from_file(key_file), signature_from_text(SIGNATURE.encode(), "S")
    with pytest.raises(ModelError, match="the signature of the file does not fit"):
        verify(MESSAGE + b"more", signature, key, "the file")


FAULTY = {
    "legacy": (LEGACY, "S is a signature of the old kind, without prehash; sign again without -l"),
    "empty": ("", "S is not a signature of minisign, or it is damaged"),
    "a public key": (KEY, "S is not a signature of minisign"),
    "no last line end": (SIGNATURE[:-1], "S is not a signature of minisign"),
    "more lines": (SIGNATURE + "more\n", "S is not a signature of minisign"),
    "not base64": (SIGNATURE.replace("RURZ", "R!RZ"), "S is not a signature of minisign"),
    "base64 in another spelling": (SIGNATURE.replace("nDA==", "nDB=="), "S is not a signature of minisign"),
    "shorter": (SIGNATURE.replace("RURZ6cxJ", "RURZ"), "S is not a signature of minisign"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_signature_is_refused(case: str) -> None:
    text, message = FAULTY[case]
    with pytest.raises(ModelError, match=message):
        signature_from_text(text.encode(), "S")


KEYS = {
    "empty": ("", "is not a public key of minisign; make a pair with: vultus-export bundle-key"),
    "one line": (KEY.splitlines()[1], "is not a public key of minisign"),
    "a signature": (SIGNATURE, "is not a public key of minisign"),
    "secret": (f"untrusted comment: x\n{'RWQA' + 'A' * 207}=\n", "is a secret key; give the public one"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_faulty_key_is_refused(tmp_path: Path, case: str) -> None:
    text, message = KEYS[case]
    (tmp_path / "faulty.pub").write_text(text)
    with pytest.raises(ModelError, match=f"faulty.pub {message}"):
        public_key_from_file(tmp_path / "faulty.pub")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.pub cannot be read: No such file"):
        public_key_from_file(tmp_path / "absent.pub")
