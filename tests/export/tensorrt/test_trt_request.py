"""What may be asked of a build, and how the command line writes it."""

from __future__ import annotations

from typing import Any

import pytest

import precision_nets
from vultus.errors import InputError
from vultus_export.tensorrt.request import Request, batch_from_text, size_from_text


@pytest.mark.parametrize(
    ("text", "batch"), [(None, None), ("1,4,8", (1, 4, 8)), ("4", (4, 4, 4)), ("2, 2, 2", (2, 2, 2))]
)
def test_batches_are_read(text: str | None, batch: Any) -> None:
    assert batch_from_text(text) == batch


@pytest.mark.parametrize("text", ["", "0", "1,2", "8,4,1", "1,a,8", "1,4,8,16", "-1,1,1", "1,,8"])
def test_batches_that_make_no_profile_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected LEAST,BEST,MOST from 1 on and rising, such as 1,4,8"):
        batch_from_text(text)


@pytest.mark.parametrize(("text", "size"), [(None, None), ("640x480", (640, 480)), ("96X64", (96, 64))])
def test_sizes_are_read(text: str | None, size: Any) -> None:
    assert size_from_text(text) == size


@pytest.mark.parametrize("text", ["", "640", "640x", "0x480", "640x480x3", "6.4x4"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected WIDTHxHEIGHT in pixels, such as 640x480"):
        size_from_text(text)


def test_the_task_gives_the_usual_profile() -> None:
    assert Request().batch_for(precision_nets.DETECTOR) == (1, 1, 8)
    assert Request().batch_for(precision_nets.FACE) == (1, 4, 32)
    assert Request((2, 2, 2)).batch_for(precision_nets.FACE) == (2, 2, 2)
    assert Request().size_for(precision_nets.DETECTOR) == (96, 64)
    assert Request(size=(640, 480)).size_for(precision_nets.DETECTOR) == (640, 480)


@pytest.mark.parametrize(
    ("spec", "size", "message"),
    [
        (precision_nets.FACE, (64, 64), "conv-face takes 32x32 alone; leave --size out"),
        (precision_nets.DETECTOR, (100, 64), "conv-detector takes sides that are multiples of 16"),
    ],
)
def test_sizes_that_the_model_does_not_take_are_refused(spec: Any, size: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Request(size=size).size_for(spec)


def test_flags_name_what_was_asked_for() -> None:
    assert Request().flags() == ()
    assert Request(workspace=64, compute_capabilities=("8.6", "8.9"), dla=0).flags() == (
        "dla=0",
        "workspace=64",
        "compute-capability=8.6,8.9",
    )
