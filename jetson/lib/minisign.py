#!/usr/bin/env python3
"""Sign a file, or check its signature, as bundles are signed: FILE.minisig in the format of minisign.

python3 minisign.py sign FILE --key factory.key --comment TEXT
python3 minisign.py verify FILE --key factory.pub
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Sign or verify; raises SystemExit with what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("what", choices=("sign", "verify"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="secret key to sign, public key to verify")
    parser.add_argument("--comment", default="", help="text that is signed with it")
    asked = parser.parse_args()
    try:
        from vultus.errors import VultusError
    except ImportError as error:
        mend = "name one that has: VULTUS_PYTHON=.venv/bin/python, under sudo with its -E"
        raise SystemExit(f"minisign.py: {sys.executable} has no vultus ({error}); {mend}") from error
    try:
        done = (
            sign(asked.file, asked.key, asked.comment)
            if asked.what == "sign"
            else verify(asked.file, asked.key)
        )
    except (ImportError, OSError, VultusError) as error:
        raise SystemExit(f"minisign.py: {error}") from error
    sys.stdout.write(f"{done}\n")


def sign(file: Path, key: Path, comment: str) -> str:
    """Write FILE.minisig and say by which key."""
    from vultus_export.bundle.signing import PASSWORD, secret_key_from_file
    from vultus_export.bundle.signing import sign as signature_of

    secret = secret_key_from_file(key, os.environ.get(PASSWORD))
    file.with_name(f"{file.name}.minisig").write_text(signature_of(file.read_bytes(), secret, comment))
    return f"{file.name} is signed by key {secret.name}"


def verify(file: Path, key: Path) -> str:
    """Check FILE.minisig and say by which key; raises ModelError when it does not fit."""
    from vultus.bundle.signature import public_key_from_file, signature_from_text
    from vultus.bundle.signature import verify as check

    public, written = public_key_from_file(key), file.with_name(f"{file.name}.minisig")
    check(file.read_bytes(), signature_from_text(written.read_bytes(), str(written)), public, str(file))
    return f"{file.name} is signed by key {public.name}"


if __name__ == "__main__":
    main()
