"""Which model files a configuration means; service and first boot ask here, so that they never disagree."""

from __future__ import annotations

from pathlib import Path

from vultus.errors import ModelError
from vultus.service.config import Config, Models
from vultus.service.places import places

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
    wanted = {"detector": config.models.detector, "face": config.models.face}
    return [
        _model_file(config.models, key, name, precision or config.models.precision, root)
        for key, name in wanted.items()
        if (key, name) != ("face", "none")
    ]


def engine_files(models: list[Path], folder: Path) -> list[Path]:
    """Return where the first boot puts the engines of these models in a folder of engines."""
    return [folder / f"{model.stem}.engine" for model in models]


def _model_file(models: Models, key: str, name: str, precision: str, root: Path) -> Path:
    stem = name if precision == "fp32" else f"{name}-{precision}"
    folder = _folder(models, root)
    for path in (folder / "models" / f"{stem}.onnx", folder / f"{stem}.onnx"):
        if path.is_file():
            return path
    there = sorted({path.stem for path in (*folder.glob("models/*.onnx"), *folder.glob("*.onnx"))})
    raise MissingModel(
        f"models.{key}",
        f"there is no model {stem}.onnx in {folder} (for {key} = {name!r}, precision = {precision!r}); "
        f"there are {', '.join(there) or 'none'}",
    )


def _folder(models: Models, root: Path) -> Path:
    if models.folder is not None:
        return _below(root, models.folder)
    bundle = places(root).models
    if bundle.is_dir():
        return bundle
    from vultus.zoo import ZOO

    return ZOO


def _below(root: Path, folder: str) -> Path:
    """Return a folder of the configuration as it lies below a root: /opt/x of a device is ROOT/opt/x here."""
    return Path(folder) if root == Path("/") else root / folder.lstrip("/")
