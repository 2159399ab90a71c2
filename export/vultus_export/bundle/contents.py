"""What goes into a bundle: the models asked for, and all that must travel with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import vultus
from vultus.bundle.manifest import INDEX, BundledModel, Manifest, check_name, manifest_to_json
from vultus.errors import ModelError, SpecError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec, spec_to_json
from vultus.zoo import card_of, default_models, installed_models
from vultus_export.bundle.licences import licence_texts
from vultus_export.quantize.manifest import check_manifest, manifest_path, read_manifest

__all__ = ["Part", "Source", "chosen_models", "parts_of"]

Part = bytes | Path

PRECISIONS = ("fp32", "fp16", "int8", "int8-fp16")
MAKE_MASTER = "vultus-export onnx RECIPE --checkpoint WEIGHTS --out {file}"
MAKE = "vultus-export quantize {master} --precision {precision}{pictures} --out {file}"
PICTURES = " --calibration FOLDER"


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

    models: files or names of installed models, by default the zoo's own. precisions: for each of them the file of
    that precision, which is the one whose spec has the same name and version, in the folder of any of the files; by
    default the files themselves. A model without a card of its own takes that of the same model in another precision.

    Raises ModelError when a file or a precision of it is missing, with the command that makes it, when a model
    has no card, or when its calibration manifest is missing or another's.
    """
    named = [_existing(path) for path in models or default_models()]
    files = [_in_precision(path, precision, named) for path in named for precision in precisions] or named
    sources = [_source(path, named) for path in dict.fromkeys(files)]
    return [part for source in sources for part in (source, *_later(source))]


def _later(first: Source) -> list[Source]:
    """Return the later networks of a cascade, which lie beside its first one and share its card."""
    cascade = first.spec.detector.cascade if first.spec.detector else None
    files = [first.file.with_name(name + first.file.suffix) for name in cascade.stages] if cascade else []
    for file in files:
        if not file.is_file():
            raise ModelError(
                f"{first.file} needs {file.name} beside it; copy the files of the cascade together"
            )
    return [Source(file, spec_from_onnx(file), first.card, None) for file in files]


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
    installed = {model.stem: model for model in installed_models()}
    if not path.exists() and str(path) in installed:
        return installed[str(path)]
    if not path.is_file():
        made = MAKE_MASTER.format(file=path)
        raise ModelError(f"there is no model file {path}; name another with --models, or make it: {made}")
    return path


def _in_precision(path: Path, precision: str, named: Sequence[Path]) -> Path:
    """Find the file that is the model of `path` in another precision; what tells is the spec, not the name."""
    relatives = _relatives(path, named)
    for file, spec in relatives.items():
        if spec.precision == precision:
            return file
    spec = relatives[path]
    if precision not in PRECISIONS:
        raise ModelError(f"{spec.name} is to be had in {', '.join(PRECISIONS)}, not in {precision!r}")
    file = path.with_name(f"{spec.name}-{precision}.onnx")
    pictures = PICTURES if precision.startswith("int8") else ""
    made = MAKE.format(master=path, precision=precision, pictures=pictures, file=file)
    made = MAKE_MASTER.format(file=file) if precision == "fp32" else made
    folders = ", ".join(dict.fromkeys(str(file.parent) for file in [path, *named]))
    raise ModelError(
        f"there is no {precision} file of {spec.name} {spec.version} in {folders}; make it: {made}"
    )


def _relatives(path: Path, named: Sequence[Path]) -> dict[Path, ModelSpec]:
    """Return the files of the same model, `path` first, then those named, then the others in their folders."""
    specs = {file: spec_from_onnx(file) for file in [path, *named]}
    for folder in dict.fromkeys(file.parent for file in specs):
        for file in sorted(folder.glob("*.onnx")):
            with suppress(ModelError, SpecError):  # what nobody named may be damaged or foreign
                specs.setdefault(file, spec_from_onnx(file))
    one = specs[path]
    return {
        file: spec for file, spec in specs.items() if (spec.name, spec.version) == (one.name, one.version)
    }


def _source(path: Path, named: Sequence[Path]) -> Source:
    relatives = _relatives(path, named)
    cards = [card for card in map(card_of, relatives) if card]
    if not cards:
        raise ModelError(
            f"{path} has no card; write down what it was trained on, for what it is fit and how well it does "
            f"in {path.with_suffix('.md')}"
        )
    return Source(path, relatives[path], cards[0], _calibration(path, relatives[path]))


def _calibration(path: Path, spec: ModelSpec) -> Path | None:
    """Return the manifest that a model was calibrated with, or None for one that was not."""
    manifest = manifest_path(path)
    if not spec.calibration and not manifest.exists():
        return None
    check_manifest(spec, read_manifest(manifest), str(manifest))
    return manifest
