"""From an ONNX model to a serialised engine: one strongly typed network, one profile, one proof of precision.

The types that the ONNX file carries (FP16 tensors, explicit Q/DQ) are the engine's precision on every TensorRT;
no precision flag exists here. Everything that creates TensorRT objects runs in one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vultus.engines.sidecar import Platform
from vultus.errors import DeviceError, InputError, ModelError
from vultus.spec import ModelSpec
from vultus_export.tensorrt.bindings import Bindings
from vultus_export.tensorrt.inspect import Layer, layers_from_json, layers_from_log, precision_problem
from vultus_export.tensorrt.network import fitting_shapes, parse_onnx, refuse_lost_precision
from vultus_export.tensorrt.progress import BuildState, monitor_for
from vultus_export.tensorrt.request import Request
from vultus_export.tensorrt.talk import Talk, talk_for

__all__ = ["Built", "build_engine", "opened_engine"]

Proof = Literal["engine inspector", "build log"]


@dataclass(frozen=True)
class Built:
    """A finished engine: its bytes, its layers and where they were read, and what TensorRT said."""

    data: bytes
    layers: tuple[Layer, ...]
    proof: Proof
    batch: tuple[int, int, int]
    memory: int
    """Bytes of GPU memory that running it takes beside its weights; 0 where no GPU could load it."""
    timing_cache: bytes
    warnings: tuple[str, ...]


def build_engine(
    bindings: Bindings,
    here: Platform,
    onnx: bytes,
    spec: ModelSpec,
    request: Request,
    state: BuildState,
    timing_cache: bytes | None = None,
) -> Built:
    """Build an engine from the bytes of an ONNX model that carries `spec`.

    timing_cache: measurements of an earlier build, b"" to begin some, None to keep none.
    Raises ModelError when TensorRT cannot read or build the model or drops its precision, InputError for a
    profile that the model does not allow, DeviceError for hardware that is not there.
    """
    trt = bindings.trt
    talk, logger = talk_for(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(bindings.creation_flags())
    # The parser owns weights that the network points to: it must outlive the build.
    parser = trt.OnnxParser(network, logger)
    parse_onnx(bindings, parser, network, onnx, spec, talk)
    refuse_lost_precision(trt, network, spec)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    shapes = fitting_shapes(network, spec, request)
    profile = builder.create_optimization_profile()
    profile.set_shape(spec.input.name, *shapes)
    config.add_optimization_profile(profile)
    _configure(bindings, builder, config, request)
    _use_timing_cache(config, timing_cache, talk)
    # TensorRT holds no reference of its own: the monitor must outlive the build.
    monitor = monitor_for(trt, state) if bindings.monitors else None
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failure(bindings, spec, state, talk)
    data = bytes(plan)
    layers, proof, memory = _proved(bindings, here, logger, talk, data, request)
    if problem := precision_problem(layers, spec.precision):
        raise ModelError(f"{bindings.name} did not keep the precision of {spec.name}: {problem}")
    kept = b"" if timing_cache is None else bytes(config.get_timing_cache().serialize())
    batch = (shapes[0][0], shapes[1][0], shapes[2][0])
    return Built(data, tuple(layers), proof, batch, memory, kept, tuple(talk.warnings))


def opened_engine(bindings: Bindings, logger: Any, data: bytes, request: Request) -> Any:
    """Return the deserialised engine, or None when TensorRT refuses it. Needs a GPU: TensorRT crashes without."""
    runtime = bindings.trt.Runtime(logger)
    if request.version_compatible and hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = True  # such an engine brings its own lean runtime
    if request.dla is not None:
        runtime.DLA_core = request.dla
    return runtime.deserialize_cuda_engine(data)


def _configure(bindings: Bindings, builder: Any, config: Any, request: Request) -> None:
    trt = bindings.trt
    if bindings.has("BuilderFlag", "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # FP32 in the model means FP32, not 10 bits of mantissa
    if bindings.has("BuilderFlag", "REQUIRE_USER_ALLOCATION"):
        # TensorRT-RTX can be captured into a CUDA graph only when it allocates nothing while it runs.
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if request.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace << 20)
    if request.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if request.hardware_compatible:
        wanted = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.hardware_compatibility_level = wanted
        if config.hardware_compatibility_level != wanted:
            raise DeviceError(
                f"{bindings.name} refuses hardware compatibility here (Jetson has none); leave it out"
            )
    if request.compute_capabilities:
        config.num_compute_capabilities = len(request.compute_capabilities)
        for i, text in enumerate(request.compute_capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{text.replace('.', '')}"), i)
    if request.dla is not None:
        _use_dla(bindings, builder, config, request)


def _use_dla(bindings: Bindings, builder: Any, config: Any, request: Request) -> None:
    trt, cores = bindings.trt, int(getattr(builder, "num_DLA_cores", 0))
    assert request.dla is not None
    if not 0 <= request.dla < cores:
        raise DeviceError(
            f"DLA core {request.dla} was asked for, {bindings.name} offers {cores} on this board; leave --dla out"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = request.dla
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _use_timing_cache(config: Any, cache: bytes | None, talk: Talk) -> None:
    """Attach measurements of earlier builds; those of another GPU or version are dropped with a word."""
    if cache is None:
        return
    table = config.create_timing_cache(cache)
    if table is None or not config.set_timing_cache(table, False):
        talk.warnings.append("the timing cache is of another GPU or TensorRT, or damaged: a new one is begun")
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _failure(bindings: Bindings, spec: ModelSpec, state: BuildState, talk: Talk) -> Exception:
    if state.stopping:
        return InputError("the build was stopped; nothing was written")
    said = talk.errors[-1] if talk.errors else "it gives no reason"
    return ModelError(f"{bindings.name} cannot build {spec.name}: {said}")


def _proved(
    bindings: Bindings,
    here: Platform,
    logger: Any,
    talk: Talk,
    data: bytes,
    request: Request,
) -> tuple[list[Layer], Proof, int]:
    """Return (layers, where they were read, bytes of GPU memory) of the finished engine."""
    if not here.compute_capability:
        return layers_from_log(talk.listing), "build log", 0
    engine = opened_engine(bindings, logger, data, request)
    if engine is None:
        said = talk.errors[-1] if talk.errors else "it gives no reason"
        raise ModelError(f"{bindings.name} built an engine that it cannot load: {said}")
    text = engine.create_engine_inspector().get_engine_information(bindings.trt.LayerInformationFormat.JSON)
    memory = (
        engine.device_memory_size_v2
        if hasattr(engine, "device_memory_size_v2")
        else engine.device_memory_size
    )
    return layers_from_json(text), "engine inspector", int(memory)
