"""The C header of the FACE record, judged by C and C++ compilers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vultus.abi import FIELD_NOTES, header_from_dtype, header_path
from vultus.errors import InputError
from vultus.types import AXES, FACE, FACE_ABI_VERSION, LABELS, POINTS, empty_faces

NAMES = FACE.names or ()
OFFSETS: dict[str, int] = {name: FACE.fields[name][1] for name in NAMES} if FACE.fields else {}
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{header_path().parent}"]


def compile_and_run(tmp_path: Path, source: str, compiler: str, standard: str, *arguments: str) -> str:
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"no compiler {compiler!r} on this machine")
    language = "c++" if "++" in standard else "c"
    code, program = tmp_path / f"probe.{language}", tmp_path / "probe"
    code.write_text(source)
    command = [path, *STRICT, f"-std={standard}", "-x", language, str(code), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=True).stdout


def layout_program() -> str:
    rows = [f'    printf("{name} %u\\n", (unsigned)offsetof(vultus_face, {name}));' for name in NAMES]
    size = '    printf("sizeof %u\\n", (unsigned)sizeof(vultus_face));'
    return "\n".join(
        ['#include "vultus_face.h"', "#include <stdio.h>", "int main(void) {", size, *rows, "return 0; }", ""]
    )


READER = """
#include "vultus_face.h"
#include <stdio.h>
int main(int argc, char **argv) {
    vultus_face face;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file) return 1;
    while (fread(&face, sizeof face, 1, file) == 1)
        printf("%g %g %g %g %d\\n", face.box[2], face.pose[VULTUS_POSE_ROLL],
               face.gender[VULTUS_GENDER_MALE], face.points[VULTUS_POINTS_NOSE_TIP][1], (int)face.track);
    fclose(file);
    return 0;
}
"""


def test_the_committed_header_is_the_generated_one() -> None:
    assert header_path().read_text() == header_from_dtype()


def test_the_module_prints_the_header() -> None:
    done = subprocess.run([sys.executable, "-m", "vultus.abi"], capture_output=True, text=True, check=True)
    assert done.stdout == header_from_dtype()


@pytest.mark.parametrize(
    ("compiler", "standard"), [("cc", "c99"), ("cc", "c11"), ("c++", "c++11"), ("c++", "c++17")]
)
def test_compilers_agree_with_numpy_on_the_layout(tmp_path: Path, compiler: str, standard: str) -> None:
    printed = compile_and_run(tmp_path, layout_program(), compiler, standard)
    measured = {name: int(value) for name, value in (line.split() for line in printed.splitlines())}
    assert measured == {"sizeof": FACE.itemsize, **OFFSETS}


@pytest.mark.parametrize(("compiler", "standard"), [("cc", "c11"), ("c++", "c++11")])
def test_c_reads_what_numpy_wrote(tmp_path: Path, compiler: str, standard: str) -> None:
    faces = empty_faces(2)
    faces["box"][1], faces["pose"][1], faces["gender"][1], faces["track"][1] = (
        (1, 2, 3.5, 4),
        7,
        (0.25, 0.75),
        9,
    )
    faces["points"][1, POINTS.index("nose_tip")] = (5, 6)
    path = tmp_path / "faces.bin"
    faces.tofile(path)
    lines = compile_and_run(tmp_path, READER, compiler, standard, str(path)).splitlines()
    assert lines == ["nan nan nan nan -1", "3.5 7 0.75 6 9"]


def test_a_layout_that_moved_does_not_compile(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no compiler 'cc' on this machine")
    wrong = header_from_dtype().replace("float score;", "double score;")
    (tmp_path / "wrong.c").write_text(wrong)
    done = subprocess.run(
        ["cc", "-std=c11", "-fsyntax-only", str(tmp_path / "wrong.c")], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "offset_of_points" in done.stderr


def test_every_field_has_a_note_and_labels_fit_their_field() -> None:
    assert set(FIELD_NOTES) == set(NAMES)
    for field, labels in LABELS.items():
        assert FACE[field].shape[0] == len(labels), field
    assert AXES == ("yaw", "pitch", "roll")


def test_another_dtype_gets_its_own_numbers() -> None:
    small = np.dtype([("score", np.float32), ("track", np.int32)], align=True)
    text = header_from_dtype(small, version=7)
    assert "#define VULTUS_FACE_ABI_VERSION 7" in text
    assert "#define VULTUS_FACE_SIZE 8" in text
    assert re.search(r"offsetof\(vultus_face, track\) == 4", text)


def test_a_dtype_without_fields_is_refused() -> None:
    with pytest.raises(InputError, match="made from a structured dtype; float32 has no fields"):
        header_from_dtype(np.dtype(np.float32))


def test_the_abi_of_this_version_is_frozen() -> None:
    """A change here is a change for every C program: raise FACE_ABI_VERSION with it."""
    assert (FACE_ABI_VERSION, FACE.itemsize, FACE.alignment) == (1, 720, 4)
    assert OFFSETS == {
        "box": 0,
        "score": 16,
        "points": 20,
        "landmarks": 60,
        "pose": 604,
        "age": 616,
        "age_spread": 620,
        "gender": 624,
        "ethnicity": 632,
        "expression": 652,
        "smile": 680,
        "attractiveness": 684,
        "eyeglasses": 688,
        "facial_hair": 692,
        "quality": 712,
        "track": 716,
    }
