"""TensorRT's interface as recorded from its bindings, for what needs a GPU or another version than can be installed.

recorded_tensorrt.json lists, for each recorded version, the classes, attributes and enum members that its Python
bindings have. `module(version)` makes a module of exactly that interface: touching a name that the version does
not have raises AttributeError, as the bindings do. What the objects do is the least that a builder can meet:
models are read with the onnx package, a strongly typed network keeps its types, a weakly typed one without
precision flags becomes FP32, engines of another version do not load.
"""

from __future__ import annotations

import base64
import enum
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

from recorded_base import Recorded
from recorded_runs import ICudaEngine, IExecutionContext, IRuntimeConfig

RECORD = json.loads(Path(__file__).with_suffix(".json").read_text())
VERSIONS: tuple[str, ...] = tuple(RECORD["versions"])
RTX: str = RECORD["rtx"]["version"]
"""TensorRT-RTX; recorded as far as engines run with it, since builds are tested with the real one."""

TYPE_WORDS = {1: "Float", 3: "Int8", 7: "Int64", 10: "Half"}
LAYERS = {"Conv": "CaskConvolution", "Gemm": "MatrixMultiply", "QuantizeLinear": "Quantize"}


class ILogger(Recorded):
    def log(self, severity: Any, msg: str) -> None: ...


class IProgressMonitor(Recorded): ...


class IProfiler(Recorded): ...


class Builder(Recorded):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self.num_DLA_cores = self.trt.board.dla_cores

    def create_network(self, flags: int = 0) -> Any:
        return self.trt.INetworkDefinition(flags)

    def create_builder_config(self) -> Any:
        self.trt.board.configs.append(self.trt.IBuilderConfig())
        return self.trt.board.configs[-1]

    def create_optimization_profile(self) -> Any:
        return self.trt.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        if not _steps(getattr(config, "progress_monitor", None)):
            self._logger.log(self.trt.ILogger.Severity.ERROR, "Error Code 7: BuildCanceled")
            return None
        if self.trt.board.build_error:
            self._logger.log(self.trt.ILogger.Severity.ERROR, self.trt.board.build_error)
            return None
        config._timing_cache = SimpleNamespace(serialize=lambda: b"timings of this GPU")
        typed = bool(network._flags >> self.trt.strongly_typed_bit & 1) or not hasattr(
            self.trt.BuilderFlag, "INT8"
        )
        detailed = config.profiling_verbosity == self.trt.ProfilingVerbosity.DETAILED
        plan = {
            "version": self.trt.__version__,
            "layers": network._layers(typed, detailed),
            "tensors": network._io,
            "inputs": network.num_inputs,
            "profile": config._profiles[0]._shapes,
            "model": base64.b64encode(network._model).decode(),
        }
        return json.dumps(plan).encode()


class INetworkDefinition(Recorded):
    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._nodes: list[onnx.NodeProto] = []
        self._io: list[tuple[str, list[int]]] = []
        self._kinds: dict[str, int] = {}
        self._model = b""
        self.num_inputs = self.num_outputs = self.num_layers = 0

    def get_input(self, index: int) -> Any:
        return SimpleNamespace(name=self._io[index][0], shape=tuple(self._io[index][1]))

    def get_layer(self, index: int) -> Any:
        node = self._nodes[index]
        kind = self._kinds.get(node.output[0], 1)
        dtype = {1: self.trt.DataType.FLOAT, 3: self.trt.DataType.INT8, 10: self.trt.DataType.HALF}.get(kind)
        quantise = node.op_type == "QuantizeLinear"
        layer_type = self.trt.LayerType.QUANTIZE if quantise else self.trt.LayerType.CONVOLUTION
        return SimpleNamespace(
            type=layer_type, num_outputs=1, get_output=lambda _: SimpleNamespace(dtype=dtype)
        )

    def _read(self, model: onnx.ModelProto) -> None:
        self._model = model.SerializeToString()
        model = onnx.shape_inference.infer_shapes(model)
        self._nodes = list(model.graph.node)
        values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
        self._kinds = {value.name: value.type.tensor_type.elem_type for value in values}
        for value in [*model.graph.input, *model.graph.output]:
            sides = [d.dim_value or -1 for d in value.type.tensor_type.shape.dim]
            self._io.append((value.name, sides))
        self.num_inputs, self.num_outputs = len(model.graph.input), len(model.graph.output)
        self.num_layers = len(self._nodes)

    def _layers(self, typed: bool, detailed: bool) -> list[Any]:
        """Return the engine's layers after fusion: dequantised inputs are read as INT8."""
        makers = {node.output[0]: node for node in self._nodes}
        old = int(self.trt.__version__.split(".")[0]) < 11
        layers: list[Any] = []
        for node in self._nodes:
            if node.op_type == "DequantizeLinear":
                continue
            source = makers.get(node.input[0])
            int8 = source is not None and source.op_type == "DequantizeLinear"
            word = "Int8" if int8 else TYPE_WORDS[self._kinds.get(node.input[0], 1)]
            tensor = {
                "Name": node.input[0],
                "Format/Datatype" if old else "Datatype": word if typed else "Float",
            }
            kind = LAYERS.get(node.op_type, node.op_type)
            layers.append({"Name": node.name, "LayerType": kind, "Inputs": [tensor], "Outputs": []})
        return layers if detailed else [layer["Name"] for layer in layers]


class OnnxParser(Recorded):
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network
        self._errors: list[onnx.NodeProto] = []
        self.num_errors = 0

    def parse(self, model: bytes, path: str | None = None) -> bool:
        graph = onnx.load_from_string(model)
        self._errors = [node for node in graph.graph.node if node.domain]
        self.num_errors = len(self._errors)
        if not self._errors:
            self._network._read(graph)
        return not self._errors

    def get_error(self, index: int) -> Any:
        return self.trt.ParserError(self._errors[index], index)


class ParserError(Recorded):
    def __init__(self, node: onnx.NodeProto, index: int) -> None:
        self._node, self._index = node, index

    def node(self) -> int:
        return self._index

    def node_name(self) -> str:
        return self._node.name

    def node_operator(self) -> str:
        return self._node.op_type

    def desc(self) -> str:
        return "Plugin not found"


class IOptimizationProfile(Recorded):
    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self._shapes = {input: (min, opt, max)}


class IBuilderConfig(Recorded):
    def __init__(self) -> None:
        self._set: list[Any] = []
        self._cleared: list[Any] = []
        self._pools: dict[Any, int] = {}
        self._profiles: list[Any] = []
        self._timing_cache: Any = None
        self._level = None
        self.profiling_verbosity = self.trt.ProfilingVerbosity.LAYER_NAMES_ONLY

    @property
    def hardware_compatibility_level(self) -> Any:
        return self._level

    @hardware_compatibility_level.setter
    def hardware_compatibility_level(self, level: Any) -> None:
        self._level = level if self.trt.board.hardware_levels else self.trt.HardwareCompatibilityLevel.NONE

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def set_flag(self, flag: Any) -> None:
        self._set.append(flag)

    def clear_flag(self, flag: Any) -> None:
        self._cleared.append(flag)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self._pools[pool] = size

    def create_timing_cache(self, data: bytes) -> Any:
        return None if data.startswith(b"damaged") else SimpleNamespace(data=data)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if b"another GPU" in cache.data and not ignore_mismatch:
            return False
        self._timing_cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._timing_cache


class Runtime(Recorded):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self.trt.board.runtimes.append(self)

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        plan = json.loads(serialized_engine)
        if self.trt.board.load_error:
            self._logger.log(self.trt.ILogger.Severity.ERROR, self.trt.board.load_error)
            return None
        if plan["version"] != self.trt.__version__ or self.trt.board.refuses_engines:
            self._logger.log(
                self.trt.ILogger.Severity.ERROR, "Serialization assertion failed: version mismatch"
            )
            return None
        return self.trt.ICudaEngine(plan, self._logger)


class EngineInspector(Recorded):
    def __init__(self, plan: Any) -> None:
        self._plan = plan

    def get_engine_information(self, format: Any) -> str:
        assert format == self.trt.LayerInformationFormat.JSON
        return json.dumps({"Layers": self._plan["layers"]})


BEHAVIOUR = (
    ILogger, IProgressMonitor, IProfiler, Builder, INetworkDefinition, OnnxParser, ParserError, IOptimizationProfile,
    IBuilderConfig, Runtime, ICudaEngine, EngineInspector, IExecutionContext, IRuntimeConfig,
)  # fmt: skip


def module(version: str, **board: Any) -> Any:
    """Return a new module with the interface of a recorded version, RTX included.

    board: dla_cores, hardware_levels, build_error, load_error, context_error, run_error,
    refuses_engines, refuses_capture; configs and runtimes list what was made.
    """
    trt: Any = ModuleType("tensorrt")
    trt.__version__ = version
    trt.strongly_typed_bit = (*RECORD["strongly_typed_bit"], 0)[(*VERSIONS, RTX).index(version)]
    errors = dict.fromkeys(("build_error", "load_error", "context_error", "run_error"), "")
    flags = dict.fromkeys(("refuses_engines", "refuses_capture"), False)
    usual = {"dla_cores": 0, "hardware_levels": True, **flags, **errors}
    trt.board = SimpleNamespace(**{**usual, **board}, configs=[], runtimes=[])
    enums, classes = _interface(version)
    for name, members in enums.items():
        if name == "NetworkDefinitionCreationFlag":
            setattr(trt, name, enum.IntEnum(name, {"STRONGLY_TYPED": trt.strongly_typed_bit}))
        elif members:
            setattr(trt, name, enum.IntEnum(name, members, start=0))
    for behaviour in BEHAVIOUR:
        name = behaviour.__name__
        attributes = frozenset(classes.get(name, ()))
        if not attributes:
            continue
        mine = {k: v for k, v in vars(behaviour).items() if k.startswith("_") or k in attributes}
        # What no test needs exists by name alone, as hasattr on the class sees it.
        empty = dict.fromkeys(attributes - mine.keys())
        setattr(trt, name, type(name, (Recorded,), {**empty, **mine, "recorded": attributes, "trt": trt}))
    trt.ILogger.Severity = trt.Severity
    del trt.Severity
    return trt


def _interface(version: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the members of each enum and the attributes of each class that a version has."""
    if version == RTX:
        enums, classes = RECORD["rtx"]["enums"], RECORD["rtx"]["classes"]
        return _split(enums), _split(classes)
    index = VERSIONS.index(version)
    enums, classes = RECORD["enums"], RECORD["classes"]
    return (
        {name: _names(groups, index) for name, groups in enums.items()},
        {name: _names(groups, index) for name, groups in classes.items()},
    )


def _split(table: dict[str, str]) -> dict[str, list[str]]:
    return {name: sorted(words.split()) for name, words in table.items()}


def _names(groups: dict[str, str], index: int) -> list[str]:
    return sorted(name for mask, names in groups.items() if mask[index] == "x" for name in names.split())


def _steps(monitor: Any) -> bool:
    """Report two phases of work to a monitor; returns False as soon as it asks to stop."""
    if monitor is None:
        return True
    monitor.phase_start("Building engine", None, 2)
    monitor.phase_start("Timing graph nodes", "Building engine", 3)
    if not all(monitor.step_complete("Timing graph nodes", step) for step in range(3)):
        return False
    monitor.phase_finish("Timing graph nodes")
    done = all(monitor.step_complete("Building engine", step) for step in range(2))
    monitor.phase_finish("Building engine")
    return bool(done)
