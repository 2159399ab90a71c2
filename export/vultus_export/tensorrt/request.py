"""What is asked of a build: plain values that can be compared and are part of the cache key."""

from __future__ import annotations

from dataclasses import dataclass

from vultus.engines.sidecar import VERSION_COMPATIBLE
from vultus.errors import InputError
from vultus.geometry import fit_size
from vultus.spec import ModelSpec

__all__ = ["Request", "batch_from_text", "size_from_text"]

# A detector sees one frame a camera, a face network all faces of a frame.
USUAL_BATCH = {"detector": (1, 1, 8), "face": (1, 4, 32)}


@dataclass(frozen=True)
class Request:
    """One build: its profile and the compatibility and hardware that were asked for.

    batch: least, best and most pictures a call; None for the model's own or the task's usual one.
    size: (width, height) in pixels for a model that takes several; None for its nominal one.
    workspace: MiB of GPU memory that a layer may use while it runs; None for all there is.
    dla: number of the Deep Learning Accelerator core to run on; None for the GPU.
    compute_capabilities: GPUs to build for, such as "8.6", where TensorRT offers the choice.
    """

    batch: tuple[int, int, int] | None = None
    size: tuple[int, int] | None = None
    workspace: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False
    dla: int | None = None
    compute_capabilities: tuple[str, ...] = ()

    def flags(self) -> tuple[str, ...]:
        """Return what was asked for beside the profile, as the sidecar and the cache key name it."""
        flags = {
            "hardware-compatible": self.hardware_compatible,
            VERSION_COMPATIBLE: self.version_compatible,
            f"dla={self.dla}": self.dla is not None,
            f"workspace={self.workspace}": self.workspace is not None,
            f"compute-capability={','.join(self.compute_capabilities)}": bool(self.compute_capabilities),
        }
        return tuple(name for name, asked in flags.items() if asked)

    def batch_for(self, spec: ModelSpec) -> tuple[int, int, int]:
        """Return the batch that was asked for, or the usual one of the model's task."""
        return self.batch or USUAL_BATCH[spec.task]

    def size_for(self, spec: ModelSpec) -> tuple[int, int]:
        """Return (width, height) of the engine's input; raises InputError for one that the model does not take."""
        taken, multiple = spec.input, spec.input.multiple
        nominal = taken.width, taken.height
        if multiple:  # the sides that the runtime gives a frame of the nominal size
            nominal = fit_size(*nominal, nominal, multiple, taken.enlarge)
        width, height = self.size or nominal
        if not multiple and (width, height) != (spec.input.width, spec.input.height):
            raise InputError(
                f"--size {width}x{height}: {spec.name} takes {spec.input.width}x{spec.input.height} alone; "
                "leave --size out"
            )
        if multiple and (width % multiple or height % multiple):
            raise InputError(
                f"--size {width}x{height}: {spec.name} takes sides that are multiples of {multiple}"
            )
        return width, height


def batch_from_text(text: str | None) -> tuple[int, int, int] | None:
    """Return (least, best, most) of "1,4,8", or of "4" for a fixed batch; raises InputError otherwise."""
    if text is None:
        return None
    parts = [int(part) if part.strip().isdigit() else 0 for part in text.split(",")]
    numbers = parts * 3 if len(parts) == 1 else parts
    if len(numbers) != 3 or numbers[0] < 1 or numbers != sorted(numbers):
        raise InputError(f"--batch {text!r}: expected LEAST,BEST,MOST from 1 on and rising, such as 1,4,8")
    return numbers[0], numbers[1], numbers[2]


def size_from_text(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) of "640x480"; raises InputError otherwise."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise InputError(f"--size {text!r}: expected WIDTHxHEIGHT in pixels, such as 640x480")
    return int(parts[0]), int(parts[1])
