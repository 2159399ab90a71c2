"""TensorRT's Python bindings, asked what they have: flags and methods come and go between versions.

TensorRT 11 dropped the precision flags, calibrators and EXPLICIT_BATCH; TensorRT-RTX has compute capabilities
to choose from and no timing cache. So nothing here compares version numbers except the lower limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from vultus.engines.sidecar import FLAVOURS, INSTALL, MODULES, Flavour, Platform, with_gpu
from vultus.errors import DeviceError
from vultus_export.tensorrt.request import Request

__all__ = ["CHOICES", "Bindings", "Choice", "load_bindings"]

Choice = Literal["auto", "tensorrt", "tensorrt-rtx"]
CHOICES: tuple[Choice, ...] = ("auto", "tensorrt", "tensorrt-rtx")
OLDEST = (10, 0)


@dataclass(frozen=True)
class Bindings:
    """One imported TensorRT: its module, what it is and why it was chosen."""

    trt: Any
    flavour: Flavour
    version: str
    why: str = ""

    @property
    def name(self) -> str:
        """Name and version for people to read."""
        return f"{FLAVOURS[self.flavour]} {self.version}"

    @property
    def portable(self) -> bool:
        """Whether it builds for a list of GPUs, with none at hand, in place of the one that is there."""
        return hasattr(self.trt, "ComputeCapability")

    @property
    def monitors(self) -> bool:
        """Whether it reports progress and can be stopped."""
        return self.has("IProgressMonitor") and self.has("IBuilderConfig", "progress_monitor")

    def has(self, name: str, attribute: str = "") -> bool:
        """Return whether the bindings have a class and, where asked, an attribute or member of it."""
        owner = getattr(self.trt, name, None)
        return owner is not None and (not attribute or hasattr(owner, attribute))

    def creation_flags(self) -> int:
        """Return the flags of a strongly typed network; 0 where nothing else exists any more."""
        if not self.has("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"):
            return 0
        return 1 << int(self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def offered_capabilities(self) -> tuple[str, ...]:
        """Return the compute capabilities that can be built for, as text in rising order."""
        names = dir(self.trt.ComputeCapability) if self.portable else []
        numbers = sorted(int(name[2:]) for name in names if re.fullmatch(r"SM\d+", name))
        return tuple(f"{number // 10}.{number % 10}" for number in numbers)

    def targets(self, request: Request, here: Platform) -> tuple[str, ...]:
        """Return the compute capabilities that an engine built to this request runs on."""
        if request.compute_capabilities:
            return request.compute_capabilities
        if self.portable:  # all from Ampere on, by default; older ones only when named
            usual = [text for text in self.offered_capabilities() if not text.startswith("7.")]
            return (*usual[:-1], f"{usual[-1]}+")
        return ("8.0+",) if request.hardware_compatible else (here.compute_capability,)

    def platform(self, here: Platform | None = None) -> Platform:
        """Return this machine as a build meets it; raises DeviceError where it cannot build."""
        here = here or with_gpu(Platform(self.flavour, self.version))
        if not self.portable and not here.compute_capability:
            raise DeviceError(
                f"{self.name} builds an engine on the GPU that is to run it, but {here.problem}; "
                "build on the device itself, or for desktop GPUs: pip install 'vultus[rtx]', --flavour tensorrt-rtx"
            )
        return here

    def refuse_impossible(self, request: Request) -> None:
        """Raise DeviceError for what was asked for and these bindings do not offer."""
        for problem, remedy in _impossible(self, request):
            raise DeviceError(f"{problem}; {remedy}")


def _impossible(bindings: Bindings, request: Request) -> Sequence[tuple[str, str]]:
    """List (problem, remedy) of what these bindings do not offer."""
    name, problems = bindings.name, []
    unknown = [text for text in request.compute_capabilities if text not in bindings.offered_capabilities()]
    if request.compute_capabilities and not bindings.portable:
        problems.append((f"{name} builds for the GPU that is there", "leave --compute-capability out"))
    elif unknown:
        offered = ", ".join(bindings.offered_capabilities())
        problems.append(
            (f"{name} does not build for compute capability {', '.join(unknown)}", f"it offers {offered}")
        )
    if request.hardware_compatible and (
        bindings.portable or not bindings.has("HardwareCompatibilityLevel", "AMPERE_PLUS")
    ):
        instead = "its engines run on all GPUs it names" if bindings.portable else "build on each device"
        problems.append((f"{name} has no hardware compatibility level", f"leave it out: {instead}"))
    if request.version_compatible and (
        bindings.flavour == "tensorrt_rtx" or not bindings.has("BuilderFlag", "VERSION_COMPATIBLE")
    ):
        problems.append((f"engines of {name} run on that version alone", "leave --version-compatible out"))
    if request.dla is not None and bindings.flavour == "tensorrt_rtx":
        problems.append((f"{name} builds for GPUs alone and has no DLA", "leave --dla out"))
    return problems


def load_bindings(choice: Choice = "auto") -> Bindings:
    """Import a TensorRT from 10.0 on; "auto" takes the system's where a GPU is, else TensorRT-RTX.

    Raises DeviceError when there is none, or only one that is too old.
    """
    if choice != "auto":
        return _imported("tensorrt" if choice == "tensorrt" else "tensorrt_rtx")
    problems = []
    for flavour in MODULES:
        try:
            found = _imported(flavour)
            found.platform()
        except DeviceError as error:
            problems.append(str(error))
        else:
            why = f"chosen because {re.split('[:;] ', problems[0])[0]}" if problems else ""
            return Bindings(found.trt, found.flavour, found.version, why)
    raise DeviceError("no TensorRT can build here: " + "; ".join(problems))


def _imported(flavour: Flavour) -> Bindings:
    trt, problem = None, ""
    for module in MODULES[flavour]:
        try:
            trt = import_module(module)
            break
        except (ImportError, OSError) as error:
            problem = problem or str(error)
    if trt is None:
        raise DeviceError(f"{FLAVOURS[flavour]} cannot be imported ({problem}): {INSTALL[flavour]}")
    version = str(trt.__version__)
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if flavour == "tensorrt" and numbers < OLDEST:
        raise DeviceError(
            f"TensorRT {version} is too old: vultus builds from TensorRT 10.0 on, whose networks keep the types of "
            "the model; on a Jetson flash JetPack 6.1 or later (JetPack 5 and 6.0 bring TensorRT 8)"
        )
    return Bindings(trt, flavour, version)
