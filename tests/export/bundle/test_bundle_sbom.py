"""The bill of materials is valid CycloneDX 1.6 and tells every model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import tiny
from vultus_export.bundle.archive import checksums
from vultus_export.bundle.contents import chosen_models, parts_of
from vultus_export.bundle.sbom import sbom_of


@pytest.fixture
def sums(models: list[Path]) -> dict[str, str]:
    return checksums(parts_of(chosen_models(models)))


@pytest.fixture
def text(models: list[Path], sums: dict[str, str]) -> str:
    return sbom_of(chosen_models(models), sums).decode()


@pytest.fixture
def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_it_is_valid(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_validator_can_fail(text: str) -> None:
    faulty = text.replace("machine-learning-model", "magic")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(faulty) is not None


def test_it_tells_every_model_with_licence_and_checksum(
    document: dict[str, Any], sums: dict[str, str]
) -> None:
    found = {part["bom-ref"]: part for part in document["components"]}
    assert set(found) == {
        "models/tiny-detector.onnx",
        "models/tiny-detector-int8.onnx",
        "models/tiny-detector-int8.calibration.json",
        "models/tiny-face.onnx",
    }
    for name, part in found.items():
        assert part["hashes"] == [{"alg": "SHA-256", "content": sums[name]}]
    assert found["models/tiny-face.onnx"]["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    facts = {one["name"]: one["value"] for one in found["models/tiny-detector-int8.onnx"]["properties"]}
    assert facts["vultus:precision"] == "int8"


def test_it_tells_what_belongs_together(document: dict[str, Any]) -> None:
    links = {part["ref"]: part.get("dependsOn", []) for part in document["dependencies"]}
    assert links["models/tiny-detector-int8.onnx"] == ["models/tiny-detector-int8.calibration.json"]
    assert links["bundle"] == [
        "models/tiny-detector-int8.onnx",
        "models/tiny-detector.onnx",
        "models/tiny-face.onnx",
    ]


def test_its_serial_number_follows_from_the_contents(
    models: list[Path], sums: dict[str, str], text: str
) -> None:
    sources = chosen_models(models)
    assert sbom_of(sources, sums).decode() == text
    other = json.loads(sbom_of(sources, {**sums, "models/tiny-face.md": "0" * 64}))
    assert other["serialNumber"] != json.loads(text)["serialNumber"]
    assert "timestamp" not in json.loads(text)["metadata"]


def test_terms_in_words_are_told_as_a_named_licence(models: list[Path]) -> None:
    terms = "for research and non-commercial use, by the terms of the pictures"
    tiny.save_detector(models[0], replace(tiny.DETECTOR, licence=terms))
    sources = chosen_models([models[0]])
    text = sbom_of(sources, checksums(parts_of(sources))).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert json.loads(text)["components"][0]["licenses"] == [{"license": {"name": terms}}]
