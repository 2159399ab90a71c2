"""When a lowering is told to rest on too little."""

from __future__ import annotations

import pytest

from vultus_export.quantize.caution import ENOUGH_FACES, ENOUGH_PICTURES, cautions_about


@pytest.mark.parametrize(
    ("faces", "pictures", "same", "begin"),
    [
        (ENOUGH_FACES, ENOUGH_PICTURES, False, ()),
        (ENOUGH_FACES, None, False, ()),
        (ENOUGH_FACES - 1, None, False, ("the loss was measured on 15 faces alone",)),
        (1, None, False, ("the loss was measured on 1 face alone",)),
        (ENOUGH_FACES, ENOUGH_PICTURES - 1, False, ("calibrated on 63 pictures alone",)),
        (
            2,
            1,
            True,
            (
                "calibrated on 1 picture alone",
                "too few pictures to hold some out",
                "the loss was measured on 2 faces",
            ),
        ),
    ],
)
def test_what_is_few_is_said(faces: int, pictures: int | None, same: bool, begin: tuple[str, ...]) -> None:
    said = cautions_about(faces, pictures, same)
    assert len(said) == len(begin)
    for sentence, start in zip(said, begin, strict=True):
        assert sentence.startswith(start)
