"""The Python packages: those that vultus needs, those that it can use, and those that fight each other."""

from __future__ import annotations

from importlib import metadata

from vultus.doctor import Check

__all__ = ["checks"]

OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
ORT = ("onnxruntime", "onnxruntime-gpu")
NEEDED = ("numpy", "msgspec", "rich", "typer")
USEFUL = {
    "cuda-bindings": "pip install 'vultus[gpu]' for work on the GPU",
    "pycuda": "in place of cuda-bindings, or for programs that pass its arrays",
    "av": "pip install 'vultus[video]' for video files and streams of the network",
    "nvidia-ml-py": "pip install 'vultus[bench]' for power, temperature and clocks of a GPU in a PC",
    "matplotlib": "pip install 'vultus[bench]' for the pages of vultus bench report",
    "cryptography": "pip install 'vultus[bundle]' for signed model bundles",
    "zstandard": "pip install 'vultus[bundle]' for model bundles",
    "tensorrt-rtx-cu13-bindings": "pip install 'vultus[rtx]' for TensorRT-RTX engines",
    "onnx": "pip install 'vultus[export]' for exporting models",
    "torch": "pip install 'vultus[export]' for exporting models",
}


def checks() -> list[Check]:
    """Return every package of interest with its version."""
    return [
        *(_needed(name) for name in NEEDED),
        _one_of("OpenCV", OPENCV, "pip install opencv-python-headless"),
        _one_of("ONNX Runtime", ORT, "pip install 'vultus[cpu]', or 'vultus[gpu]' with an NVIDIA GPU"),
        _providers(),
        *(_useful(name, hint) for name, hint in USEFUL.items()),
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _needed(name: str) -> Check:
    version = _version(name)
    fix = "" if version else f"pip install {name}"
    return Check("packages", name, "ok" if version else "problem", version or "not installed", fix)


def _useful(name: str, hint: str) -> Check:
    version = _version(name)
    return Check("packages", name, "ok" if version else "absent", version or f"not installed ({hint})")


def _one_of(what: str, names: tuple[str, ...], fix: str) -> Check:
    """Return which of several packages is there; two of them overwrite each other's files."""
    found = {name: version for name in names if (version := _version(name))}
    shown = ", ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        return Check("packages", what, "problem", "not installed", fix)
    if len(found) > 1:
        fix = f"keep one: pip uninstall {' '.join(found)}, then install the one you want"
        return Check("packages", what, "problem", f"{shown} overwrite each other", fix)
    return Check("packages", what, "ok", shown)


def _providers() -> Check:
    """Return ONNX Runtime's providers: what it was built with, which is no proof that a GPU is there."""
    try:
        import onnxruntime
    except ImportError as error:
        fix = "pip install 'vultus[cpu]', or 'vultus[gpu]' with an NVIDIA GPU"
        return Check("packages", "providers", "problem", f"ONNX Runtime does not load: {error}", fix)
    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    return Check("packages", "providers", "ok", f"{', '.join(names)} (built in; see below for what runs)")
