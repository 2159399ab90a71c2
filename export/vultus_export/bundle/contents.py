"""What goes into a bundle: the models asked for, and all that must travel with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vultus
from vultus.bundle.manifest import INDEX, BundledModel, Manifest, check_name, manifest_to_json
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec, spec_to_json
from vultus.zoo import card_of, default_models
from vultus_export.bundle.licences import licence_texts

__all__ = ["Part", "Source", "chosen_models", "parts_of"]

Part = bytes | Path

MAKE_MASTER = "vultus-export onnx RECIPE --checkpoint WEIGHTS --out {file}"
MAKE = {
    "fp16": "vultus-export fp16 {master} --out {file}",
    "int8": "vultus-export int8 {master} --data DIR --out {file}",
}


@dataclass(frozen=True)
class Source:
    """A model file with its spec and what lies beside it."""

    file: Path
    spec: ModelSpec
    card: Path
    calibration: Path | None

    @property
    def bundled(self) -> BundledModel:
        """The model as the bundle's index tells it."""
        stem, spec = f"models/{self.file.stem}", self.spec
        return BundledModel(
            name=spec.name,
            version=spec.version,
            task=spec.task,
            precision=spec.precision,
            licence=spec.licence,
            file=f"models/{self.file.name}",
            spec=f"{stem}.spec.json",
            card=f"{stem}.md",
            calibration=f"{stem}.calibration.json" if self.calibration else None,
        )


def chosen_models(models: Sequence[Path] = (), precisions: Sequence[str] = ()) -> list[Source]:
    """Return the models to bundle, each once, in the order asked for.

    models: files, by default the zoo's own. precisions: for each of them the file of that precision, which is
    the one whose spec has the same name and version, in the folder of any of the files; by default the files
    themselves.

    Raises ModelError when a file or a precision of it is missing, with the command that makes it, or when a
    model has no card.
    """
    named = [_existing(path) for path in models or default_models()]
    specs = {path: spec_from_onnx(path) for path in named}
    files = [_in_precision(path, precision, named) for path in named for precision in precisions] or named
    return [_source(path, specs.get(path) or spec_from_onnx(path)) for path in dict.fromkeys(files)]


def parts_of(sources: Sequence[Source]) -> dict[str, Part]:
    """Return the files of a bundle, name -> content or the file that holds it, but for checksums and SBOM.

    Raises ModelError when two models want one name, or when a licence or its text is missing.
    """
    parts: dict[str, Part] = {}
    for source in sources:
        model = source.bundled
        if check_name(model.file, str(source.file)) in parts:
            raise ModelError(
                f"two models are named {source.file.name}; rename one, {source.file} for instance"
            )
        parts |= {model.file: source.file, model.card: source.card}
        parts[model.spec] = (spec_to_json(source.spec) + "\n").encode()
        if model.calibration and source.calibration:
            parts[model.calibration] = source.calibration
    models = tuple(source.bundled for source in sources)
    parts[INDEX] = manifest_to_json(Manifest(f"vultus {vultus.__version__}", models)).encode()
    return parts | licence_texts([(source.file, source.spec.licence) for source in sources])


def _existing(path: Path) -> Path:
    if not path.is_file():
        made = MAKE_MASTER.format(file=path)
        raise ModelError(f"there is no model file {path}; name another with --models, or make it: {made}")
    return path


def _in_precision(path: Path, precision: str, named: Sequence[Path]) -> Path:
    """Find the file that is the model of `path` in another precision; what tells is the spec, not the name."""
    wanted = spec_from_onnx(path)
    folders = dict.fromkeys(file.parent for file in [path, *named])
    for candidate in [*named, *(file for folder in folders for file in sorted(folder.glob("*.onnx")))]:
        spec = spec_from_onnx(candidate)
        if (spec.name, spec.version, spec.precision) == (wanted.name, wanted.version, precision):
            return candidate
    if precision not in MAKE:
        raise ModelError(f"{wanted.name} is to be had in fp32, {', '.join(MAKE)}, not in {precision!r}")
    made = MAKE[precision].format(master=path, file=path.with_name(f"{path.stem}-{precision}.onnx"))
    raise ModelError(
        f"there is no {precision} file of {wanted.name} {wanted.version} in {', '.join(map(str, folders))}; "
        f"make it: {made}"
    )


def _source(path: Path, spec: ModelSpec) -> Source:
    card = card_of(path)
    if card is None:
        raise ModelError(
            f"{path} has no card; write down what it was trained on, for what it is fit and how well it does "
            f"in {path.with_suffix('.md')}"
        )
    calibration = path.with_suffix(".calibration.json")
    return Source(path, spec, card, calibration if calibration.is_file() else None)
