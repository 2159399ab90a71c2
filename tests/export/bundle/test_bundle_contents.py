"""What goes into a bundle, and what is said when something that belongs into it is missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import bundles
import tiny
from vultus.errors import ModelError
from vultus.spec import spec_from_json
from vultus.zoo import default_models
from vultus_export.bundle.contents import chosen_models, parts_of


def test_the_named_files_are_chosen_as_they_are(models: list[Path]) -> None:
    assert [source.file for source in chosen_models([models[2], models[0], models[2]])] == [
        models[2],
        models[0],
    ]


def test_a_precision_is_found_by_its_spec_in_the_folder(models: list[Path]) -> None:
    renamed = models[1].rename(models[1].with_name("whatever.onnx"))
    for suffix in (".md", ".calibration.json"):
        models[1].with_suffix(suffix).rename(renamed.with_suffix(suffix))
    chosen = chosen_models([models[0]], ["int8", "fp32"])
    assert [source.file for source in chosen] == [renamed, models[0]]


def test_a_precision_may_lie_in_the_folder_of_another_named_file(models: list[Path], tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for suffix in (".onnx", ".md", ".calibration.json"):
        shutil.move(models[1].with_suffix(suffix), away)
    chosen = chosen_models([models[0], away / models[1].name], ["int8"])
    assert [source.file for source in chosen] == [away / models[1].name]


def test_foreign_files_in_the_folder_do_not_disturb(models: list[Path]) -> None:
    models[0].with_name("foreign.onnx").write_bytes(b"not a model")
    assert [source.file for source in chosen_models([models[0]], ["int8"])] == [models[1]]
    with pytest.raises(ModelError, match=r"foreign\.onnx is not an ONNX model"):
        chosen_models([models[0].with_name("foreign.onnx")])


def test_another_version_is_not_the_precision_asked_for(models: list[Path]) -> None:
    tiny.save_detector(models[1], replace(tiny.DETECTOR, precision="int8", version="0.9.0"))
    with pytest.raises(ModelError, match=r"there is no int8 file of tiny-detector 1\.0\.0 in"):
        chosen_models([models[0]], ["int8"])


@pytest.mark.parametrize(
    ("precision", "pictures"),
    [("fp16", ""), ("int8", " --calibration FOLDER"), ("int8-fp16", " --calibration FOLDER")],
)
def test_a_missing_precision_is_an_error_that_names_the_command(
    models: list[Path], precision: str, pictures: str
) -> None:
    message = (
        f"make it: vultus-export quantize .*/tiny-face.onnx --precision {precision}{pictures} "
        f"--out .*/tiny-face-{precision}.onnx$"
    )
    with pytest.raises(ModelError, match=message):
        chosen_models([models[2]], [precision])


def test_an_unknown_precision_is_an_error(models: list[Path]) -> None:
    with pytest.raises(
        ModelError, match="tiny-face is to be had in fp32, fp16, int8, int8-fp16, not in 'fp4'"
    ):
        chosen_models([models[2]], ["fp4"])


def test_a_missing_model_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"there is no model file .*none\.onnx; .* make it: vultus-export onnx"
    ):
        chosen_models([tmp_path / "none.onnx"])


def test_a_model_without_a_card_is_refused(models: list[Path]) -> None:
    models[2].with_suffix(".md").unlink()
    with pytest.raises(ModelError, match=r"tiny-face\.onnx has no card; write down .*tiny-face\.md"):
        chosen_models(models)


def test_a_model_takes_the_card_of_its_other_precision(models: list[Path]) -> None:
    models[1].with_suffix(".md").unlink()
    (chosen,) = chosen_models([models[0]], ["int8"])
    assert (chosen.file, chosen.card) == (models[1], models[0].with_suffix(".md"))
    assert chosen.bundled.card == "models/tiny-detector-int8.md"


def test_a_calibrated_model_needs_its_own_manifest(models: list[Path]) -> None:
    manifest = models[1].with_suffix(".calibration.json")
    manifest.write_text(replace(bundles.CALIBRATION, method="entropy").to_json())
    with pytest.raises(
        ModelError, match=r"is not the manifest that model 'tiny-detector' \(int8\) was calibrated with"
    ):
        chosen_models(models)
    manifest.unlink()
    with pytest.raises(
        ModelError, match=r"cannot read the calibration manifest .*tiny-detector-int8\.calibration"
    ):
        chosen_models(models)
    models[0].with_suffix(".calibration.json").write_text(bundles.CALIBRATION.to_json())
    with pytest.raises(ModelError, match=r"was not calibrated; .* is not its manifest"):
        chosen_models([models[0]])


def test_the_default_is_the_zoo() -> None:
    present = all(path.is_file() for path in default_models())
    if present:
        assert [source.file for source in chosen_models()] == default_models()
    else:
        with pytest.raises(ModelError, match=r"zoo/vultus-.*\.onnx"):
            chosen_models()


def test_the_parts_are_models_specs_cards_calibration_licences_and_index(models: list[Path]) -> None:
    parts = parts_of(chosen_models(models))
    assert sorted(parts) == [
        "bundle.json",
        "licences/Apache-2.0.txt",
        "licences/MIT.txt",
        "models/tiny-detector-int8.calibration.json",
        "models/tiny-detector-int8.md",
        "models/tiny-detector-int8.onnx",
        "models/tiny-detector-int8.spec.json",
        "models/tiny-detector.md",
        "models/tiny-detector.onnx",
        "models/tiny-detector.spec.json",
        "models/tiny-face.md",
        "models/tiny-face.onnx",
        "models/tiny-face.spec.json",
    ]
    spec = parts["models/tiny-detector-int8.spec.json"]
    assert isinstance(spec, bytes)
    assert spec_from_json(spec) == replace(
        tiny.DETECTOR, precision="int8", calibration=bundles.CALIBRATION.digest
    )
    licence = parts["licences/Apache-2.0.txt"]
    assert isinstance(licence, bytes)
    assert b"Apache License" in licence
    index = parts["bundle.json"]
    assert isinstance(index, bytes)
    assert [model["calibration"] for model in json.loads(index)["models"]] == [
        None,
        "models/tiny-detector-int8.calibration.json",
        None,
    ]


def test_two_models_may_not_share_a_name(models: list[Path], tmp_path: Path) -> None:
    shutil.copytree(models[0].parent, tmp_path / "again")
    with pytest.raises(ModelError, match=r"two models are named tiny-detector\.onnx; rename one"):
        parts_of(chosen_models([models[0], tmp_path / "again" / models[0].name]))


def test_a_name_that_no_bundle_may_hold_is_refused(models: list[Path]) -> None:
    for suffix in (".onnx", ".md"):
        models[0].with_suffix(suffix).rename(models[0].with_name(f"tiny detector{suffix}"))
    with pytest.raises(ModelError, match=r"a file named 'models/tiny detector\.onnx'"):
        parts_of(chosen_models([models[0].with_name("tiny detector.onnx")]))


LICENCES = {
    "unknown": "the licence of .*tiny-detector.onnx is unknown, and a bundle is made to be passed on",
    "": "the licence of .*tiny-detector.onnx is unknown",
    "MIT AND (": r"'MIT AND \(', is no SPDX expression",
    "free beer": "is no SPDX expression .'free beer' is not on the list; LicenseRef-NAME may be",
    "MIT OR LicenseRef-Acme": r"the text of the licence LicenseRef-Acme of .* is missing; put it into .*Acme\.txt",
    "BSD-3-Clause": r"put it into .*LICENSES/BSD-3-Clause\.txt",
}


@pytest.mark.parametrize("licence", LICENCES)
def test_an_unclear_licence_is_refused(models: list[Path], licence: str) -> None:
    tiny.save_detector(models[0], replace(tiny.DETECTOR, licence=licence))
    with pytest.raises(ModelError, match=LICENCES[licence]):
        parts_of(chosen_models([models[0]]))


def test_a_licence_of_ones_own_travels_with_its_text(models: list[Path]) -> None:
    tiny.save_detector(models[0], replace(tiny.DETECTOR, licence="LicenseRef-Acme"))
    (models[0].parent / "LICENSES" / "LicenseRef-Acme.txt").write_text("Ask Acme.\n")
    assert parts_of(chosen_models([models[0]]))["licences/LicenseRef-Acme.txt"] == b"Ask Acme.\n"


def test_terms_in_words_are_their_own_text(models: list[Path]) -> None:
    terms = "for research and non-commercial use, by the terms of the pictures"
    tiny.save_detector(models[0], replace(tiny.DETECTOR, licence=terms))
    parts = parts_of(chosen_models([models[0]]))
    assert [(name, parts[name]) for name in parts if name.startswith("licences/")] == [
        ("licences/tiny-detector.txt", f"{terms}\n".encode())
    ]
