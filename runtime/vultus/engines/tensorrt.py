"""TensorRT engine: `.engine` files of TensorRT from 10.0 on and of TensorRT-RTX, on device memory alone."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from vultus.cuda.driver import Driver, open_driver
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.contract import check_batch, check_contract
from vultus.engines.devices import require_known
from vultus.engines.hosted import HostedEngine
from vultus.engines.tensorrt_binding import TensorRTBinding
from vultus.engines.tensorrt_load import Loaded, load
from vultus.errors import DeviceError, InputError, UsageError
from vultus.spec import ModelSpec

__all__ = ["TensorRTEngine", "open_model", "open_on_device"]


def open_on_device(path: Path, driver: Driver) -> TensorRTEngine:
    """Open an engine file that fits the driver's device and the TensorRT that is installed.

    Raises DeviceError for an engine of another device or TensorRT and when memory runs out, ModelError for one
    that is missing, damaged or refused, SpecError for an unusable sidecar.
    """
    return TensorRTEngine(load(path, driver), driver)


def open_model(path: Path, device: str, threads: int | None) -> HostedEngine:
    """Open an engine file for arrays on the host, which are copied; `threads` has no meaning here."""
    require_known(device)
    if device == "cpu":
        raise DeviceError(
            f"{path.name} runs on a GPU alone: give the .onnx file that it was built from, or device 'cuda' where a "
            "GPU is there"
        )
    with ExitStack() as stack:
        driver = stack.enter_context(closing(open_driver()))
        engine = stack.enter_context(closing(open_on_device(path, driver)))
        hosted = HostedEngine(driver, engine, stack.pop_all())
    return hosted


class TensorRTEngine:
    """One deserialised engine and its bindings. Use it from one thread at a time."""

    def __init__(self, loaded: Loaded, driver: Driver) -> None:
        self._loaded: Loaded | None = loaded
        self._driver, self._file = driver, loaded.file
        self._spec, self._where = loaded.sidecar.spec, loaded.where
        self._bindings: list[TensorRTBinding] = []
        self._capturable = not loaded.on_dla
        names = _names(loaded)
        inputs = [name for name, is_input in names.items() if is_input]
        check_contract(inputs, names.keys() - set(inputs), self._spec, loaded.file)
        shapes = loaded.engine.get_tensor_profile_shape(self._spec.input.name, 0)
        self._least, _, self._most = (tuple(int(side) for side in shape) for shape in shapes)

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._spec

    @property
    def device(self) -> str:
        """TensorRT, GPU and precision that really run the model, such as "TensorRT 10.3.0 on Orin, fp16"."""
        return f"{self._where}, {self._spec.precision}"

    @property
    def capturable(self) -> bool:
        """Whether `Binding.enqueue` may be captured into a CUDA graph; TensorRT-RTX knows it after `bind`."""
        return self._capturable

    @property
    def batch(self) -> tuple[int, int]:
        """Least and most pictures that the engine's profile takes at once."""
        return self._least[0], self._most[0]

    def bind(self, batch: DeviceTensor) -> TensorRTBinding:
        """Fix the input at the address of `batch`, make a context and outputs for its shape and run it once.

        Raises InputError for a shape outside the engine's profile, DeviceError when memory runs out.
        """
        if self._loaded is None:
            raise UsageError(f"the engine of {self._file} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self._spec, self._file)
        self._check_profile(batch.shape)
        binding = TensorRTBinding(self._loaded, self._driver, batch)
        self._capturable = self._capturable and binding.capturable
        self._bindings.append(binding)
        return binding

    def close(self) -> None:
        """Free the engine and what is still bound; further calls raise UsageError. Closing twice does nothing."""
        for binding in self._bindings:
            binding.close()
        self._bindings.clear()
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            with self._driver.current():
                loaded.engine = None  # ahead of the runtime that made it
                loaded.runtime = None

    def _check_profile(self, shape: tuple[int, ...]) -> None:
        bounds = zip(self._least, shape, self._most, strict=True)
        if all(least <= side <= most for least, side, most in bounds):
            return
        raise InputError(
            f"{self._file} was built for batches from {self._least} to {self._most}, got {shape}; bind within that, "
            "or build it with other --batch LEAST,BEST,MOST or --size WxH: vultus-export engine"
        )


def _names(loaded: Loaded) -> dict[str, Any]:
    """Return tensor name -> whether it is an input."""
    engine, kinds = loaded.engine, loaded.trt.TensorIOMode
    names = (engine.get_tensor_name(i) for i in range(engine.num_io_tensors))
    return {name: engine.get_tensor_mode(name) == kinds.INPUT for name in names}
