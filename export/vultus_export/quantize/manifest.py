"""What a model was calibrated with: a manifest beside it, and its digest inside, so that neither can change alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vultus.errors import ModelError
from vultus.spec import ModelSpec

__all__ = ["PREPROCESSING", "Manifest", "check_manifest", "hashed", "manifest_path", "read_manifest"]

SCHEMA = 1

PREPROCESSING = 1
"""Version of the pixels that vultus.preprocess makes; a change of them makes older calibrations stale."""


@dataclass(frozen=True)
class Manifest:
    """Everything that decides the numbers of a calibration, and the losses that were measured on the way.

    pictures: name in its folder -> SHA-256, of every picture used. master and detector: SHA-256 of the FP32 model and
    of the detector that found the faces ("" where the model is itself a detector). losses: task loss of each method.
    others: activation -> its method, where another one than `method` did better.
    """

    model: str
    version: str
    precision: str
    master: str
    detector: str
    pictures: Mapping[str, str]
    method: str
    losses: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    preprocessing: int = PREPROCESSING
    schema: int = SCHEMA

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's canonical JSON without the losses: another machine may round them otherwise."""
        return hashlib.sha256(replace(self, losses={}).to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, one a line, the same bytes for the same manifest; no empty `others`."""
        told = {name: value for name, value in asdict(self).items() if name != "others" or value}
        return json.dumps(told, sort_keys=True, indent=1) + "\n"


def hashed(files: Sequence[Path], root: Path) -> dict[str, str]:
    """Return name within `root` -> SHA-256 of each file."""
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def manifest_path(model: Path) -> Path:
    """Return where the manifest of a model file lies."""
    return model.with_suffix(".calibration.json")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; raises ModelError when it is missing, malformed or of another schema."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA}")
        return Manifest(**raw)
    except OSError as error:
        raise ModelError(f"cannot read the calibration manifest {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{path} is not a calibration manifest: {error}; quantize the model again"
        ) from error


def check_manifest(spec: ModelSpec, manifest: Manifest, where: str) -> None:
    """Raise ModelError unless a model was calibrated with exactly this manifest, by today's preprocessing."""
    if not spec.calibration:
        raise ModelError(
            f"model {spec.name!r} ({spec.precision}) was not calibrated; {where} is not its manifest"
        )
    if manifest.digest != spec.calibration:
        raise ModelError(
            f"{where} is not the manifest that model {spec.name!r} ({spec.precision}) was calibrated with: "
            f"its digest is {manifest.digest[:12]}, the model's {spec.calibration[:12]}; quantize the model again"
        )
    if manifest.preprocessing != PREPROCESSING:
        raise ModelError(
            f"model {spec.name!r} was calibrated with preprocessing {manifest.preprocessing}, this vultus prepares "
            f"pictures by {PREPROCESSING}; quantize the model again"
        )
