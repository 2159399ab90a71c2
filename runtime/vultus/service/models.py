"""Which model files a configuration means; service and first boot ask here, so that they never disagree."""

from __future__ import annotations

from pathlib import Path

from vultus.errors import ModelError, VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.service.config import Config, Models
from vultus.service.places import below, places
from vultus.zoo import default_models

__all__ = ["MissingModel", "engine_files", "model_files"]


class MissingModel(ModelError):
    """A model that the configuration names and that is not there. key: where it is named."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        super().__init__(text)


def model_files(config: Config, root: Path = Path("/"), precision: str | None = None) -> list[Path]:
    """Return the ONNX files of detector and face network, of another precision than configured when one is named.

    Looked for in the folder of the configuration; without one in the bundle that is installed below the root,
    else in the package. Raises MissingModel, which names what is there.
    """
    models, wanted = config.models, precision or config.models.precision
    keys = ["detector"] if models.face == "none" else ["detector", "face"]
    return [_model_file(_folder(models, root), key, getattr(models, key), wanted) for key in keys]


def engine_files(models: list[Path], folder: Path) -> list[Path]:
    """Return where the first boot puts the engines of these models in a folder of engines."""
    return [folder / f"{model.stem}.engine" for model in models]


def _model_file(folder: Path, key: str, name: str | None, precision: str) -> Path:
    named = name or _default(key)
    stem = named if precision == "fp32" else f"{named}-{precision}"
    there = sorted([*folder.glob("models/*.onnx"), *folder.glob("*.onnx")])
    found = [path for path in there if path.stem == stem]
    # A bundle may be older or newer than the package, whose default names it need not have.
    found = found or ([] if name else [path for path in there if _is_for(path, key, precision)])
    if len(found) == 1 or (found and found[0].stem == stem):
        return found[0]
    if not folder.is_dir():
        raise MissingModel(
            "models.folder", f"there is no folder {folder}; name one of models, or leave it out"
        )
    told = f"{key} = {named!r}{'' if name else ', the default'}"
    names = ", ".join(sorted({path.stem for path in there})) or "none"
    raise MissingModel(
        f"models.{key}",
        f"there is no model {stem}.onnx in {folder} (for {told}, precision = {precision!r}); there are {names}",
    )


def _default(key: str) -> str:
    """Return the name of the model that the package uses for a task."""
    return default_models()[("detector", "face").index(key)].stem


def _is_for(path: Path, key: str, precision: str) -> bool:
    try:
        spec = spec_from_onnx(path)
    except VultusError:
        return False
    return spec.precision == precision and (spec.detector is not None) == (key == "detector")


def _folder(models: Models, root: Path) -> Path:
    if models.folder is not None:
        return below(root, models.folder)
    bundle = places(root).models
    if bundle.is_dir():
        return bundle
    return default_models()[0].parent
