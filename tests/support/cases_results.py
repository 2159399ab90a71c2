"""Cases of the device pipeline: its records against those of the CPU, on the fake driver.

The networks, the kernels, the driver layer and the pipeline are the shipped ones. Nothing here is a GPU's result.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest

import host_device_engine
import tiny
from device_arrays import CudaArray
from fake_device import (
    assert_same_faces,
    both,
    calls,
    crowd,
    driver_of,
    fake,
    nothing_left,
    same,
    tiny_models,
)
from tiny_yunet import save_yunet
from tolerances import assert_faces_close
from vultus import Analyzer, Frame, InputError

ROOT = Path(__file__).parents[2]


def photograph() -> None:
    picture = np.asarray(cv2.imread(str(ROOT / "examples" / "astronaut.png")), np.uint8)
    with both() as (host, device):
        want = host(picture)
        for _ in range(4):  # eager, then captured, in both slots
            same(device(picture), want)
        assert len(want.faces) == 1
        same(device(picture[:, ::-1].copy()), host(picture[:, ::-1].copy()))
        same(
            device(Frame(picture[::2, ::2], index=3, time=0.5)),
            host(Frame(picture[::2, ::2], index=3, time=0.5)),
        )
        ran = device(picture).ran_on
        stages = ["upload", "letterbox", "detect", "decode_boxes", "align", "face", "decode_faces"]
        assert list(ran) == stages, ran
        assert "ONNX Runtime" in ran["detect"], ran
        assert "CUDA kernels on Fake" in ran["letterbox"], ran
        assert ran["upload"] == f"{driver_of(device).info.name} (copy from page-locked memory)", ran
        assert list(device(picture).milliseconds) == [
            "upload",
            "letterbox",
            "detect",
            "align",
            "face",
            "fetch",
        ]
        assert all(spent >= 0 for spent in device(picture).milliseconds.values())
        assert device.specs == host.specs
        assert device.attributes == host.attributes
    nothing_left()


def counts() -> None:
    """No face, one, many, more than the bucket, more than a batch; rising and falling."""
    with tiny_models() as models, both(models) as (host, device):
        for count in (0, 1, 5, 0, 17, 70, 80, 1, 64, 65, 0):
            result = device(crowd(count))
            assert len(result.faces) == count
            same(result, host(crowd(count)))
            assert np.isfinite(result.faces["age"]).all()
        for _ in range(9):
            quiet = device(crowd(0))
        assert "face" not in quiet.milliseconds, "no face for nine frames: no pass was due"
        first = device(crowd(3))
        stages = ["upload", "letterbox", "detect", "fetch", "more_faces"]
        assert list(first.milliseconds) == stages, first.milliseconds
        same(first, host(crowd(3)))
    nothing_left()


def limited_engine() -> None:
    """A network for 2 to 5 faces at once, as an engine's profile may have it; a detector of few faces."""
    host_device_engine.BATCH = (2, 5)
    try:
        with tiny_models(max_faces=24) as models, both(models) as (host, device):
            for count in (1, 2, 11, 24):
                same(device(crowd(count)), host(crowd(count)))
            assert len(device(crowd(60)).faces) == 24
    finally:
        host_device_engine.BATCH = (1, 65535)
    nothing_left()


def graphs() -> None:
    """Graphs against eager: the same bytes; what may be captured is."""
    pictures = [crowd(count) for count in (1, 3, 3, 0, 7, 70, 7)] * 2
    with tiny_models() as models:
        results = []
        for capturable in (True, False):
            host_device_engine.CAPTURABLE = capturable
            before = calls("cuGraphLaunch")
            with Analyzer("cuda", models) as device:
                results.append([device(picture).faces for picture in pictures])
                made = int(fake.fake_cuda_graphs())
            assert (made > 0) == capturable
            assert (calls("cuGraphLaunch") > before) == capturable
    host_device_engine.CAPTURABLE = True
    for captured, eager in zip(*results, strict=True):
        assert captured.tobytes() == eager.tobytes()
    nothing_left()


def sizes() -> None:
    """Frames of changing sizes, more of them than are kept prepared, and back."""
    rng = np.random.default_rng(5)
    sides = [(int(w), int(h)) for w, h in rng.integers(16, 400, (24, 2))] + [(1, 2), (2, 1), (700, 16)]
    with tiny_models() as models, both(models) as (host, device):
        for width, height in sides:
            picture = crowd(2, width, height)
            same(device(picture), host(picture))
        settled = int(fake.fake_cuda_live())
        for width, height in sides + sides:
            same(device(crowd(1, width, height)), host(crowd(1, width, height)))
        assert int(fake.fake_cuda_live()) <= settled + 2, "memory of old geometries stays"
    nothing_left()


def parts() -> None:
    """Detect and describe alone."""
    with tiny_models(max_faces=40) as models, both(models) as (host, device):
        for count in (0, 1, 5, 33):
            picture = crowd(count)
            found = device.detect(picture)
            assert_same_faces(found, host.detect(picture))
            assert not np.isfinite(found["age"]).any()
            found["track"] = np.arange(len(found))
            described = device.describe(picture, found)
            assert_faces_close(described, host.describe(picture, found))
            assert not np.isfinite(found["age"]).any()
        many = np.concatenate([found, found, found])
        assert_faces_close(device.describe(picture, many), host.describe(picture, many))
        with pytest.raises(InputError, match=r"one-dimensional array of vultus\.FACE"):
            device.describe(picture, found["box"])
    for attributes in ([], ["age"], ["gender", "landmarks"]):
        with tiny_models() as models, both(models, attributes=attributes) as (host, device):
            same(device(crowd(2)), host(crowd(2)))
            assert device.attributes == host.attributes
    nothing_left()


def flat() -> None:
    """Nothing is allocated and nothing is made in 1000 frames once every kind of frame has come twice."""
    with tiny_models() as models, Analyzer("cuda", models, ["age"]) as device:
        pictures = [crowd(count, 64, 64) for count in (0, 1, 2, 3)] + [crowd(1, 48, 64)]
        made = ("cuGraphInstantiate", "cuEventCreate", "cuStreamCreate", "cuModuleLoadData")

        def state() -> list[int]:
            return [driver_of(device).allocations, driver_of(device).free_memory(), *map(calls, made)]

        for picture in pictures * 4:
            device(picture)
        before = state()
        for number in range(1000):
            device(pictures[number % len(pictures)])
        assert state() == before, (before, state())
    nothing_left()


def mapped() -> None:
    """A GPU that shares the host's memory gets its frames without a copy."""
    with tiny_models() as models, both(models) as (host, device):
        assert driver_of(device).info.integrated
        same(device(crowd(2)), host(crowd(2)))
        before = calls("cuMemcpyAsync")
        result = device(crowd(2))
        same(result, host(crowd(2)))
        assert calls("cuMemcpyAsync") == before + 1, "the records alone are copied"
        assert result.ran_on["upload"].endswith("(mapped memory)"), result.ran_on
    nothing_left()


def host_decoder() -> None:
    """A detector whose maps no kernel decodes: its engine on the device, the rest on the host, and it says so."""
    with TemporaryDirectory() as folder:
        models = [save_yunet(Path(folder) / "yunet.onnx"), tiny.save_face_network(Path(folder) / "face.onnx")]
        with both(models) as (host, device):
            for count in (0, 1, 12):
                want, got = host(crowd(count)), device(crowd(count))
                assert len(got.faces) == count
                assert got.faces.tobytes() == want.faces.tobytes()
                assert "no CUDA kernel decodes 'yunet'" in got.ran_on["detect"], got.ran_on
                assert all("on Fake" in ran for ran in got.ran_on.values()), got.ran_on
            assert [len(result.faces) for result in device.stream([crowd(1), crowd(2)])] == [1, 2]
            with driver_of(device).current():
                array = CudaArray(driver_of(device), crowd(1))
            with pytest.raises(InputError, match="takes pictures from the host"):
                device(array)
            array.close()
    nothing_left()


def cascade(folder: str) -> None:
    """Three networks that make one detector, each on the device."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (8, 9, 3)).astype(np.uint8)
    scene = np.asarray(cv2.resize(coarse, (120, 90), interpolation=cv2.INTER_CUBIC), np.uint8)
    with both([Path(folder) / "mtcnn.onnx"]) as (host, device):
        want, got = host(scene), device(scene)
        assert len(want.faces) >= 3
        assert_faces_close(got.faces, want.faces)
        assert "no CUDA kernel decodes 'mtcnn'" in got.ran_on["detect"], got.ran_on
    nothing_left()
