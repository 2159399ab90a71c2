"""Model cards, made from the model file, its recipe, the facts in cards.toml and the committed results."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.markdown import cross_tables, figure_rows, provenance, table
from harness.measure import NOT_ASKED
from harness.network_size import network_size
from harness.provenance import REPOSITORY
from harness.report import concerns, leaves
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus_export.metrics.identity import sha256_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["card", "facts_from", "stale_results"]

RECIPES = REPOSITORY / "models" / "vultus_models" / "recipes"
MAIN = "accuracy.json"

Facts = dict[str, Any]


def facts_from(path: Path) -> Facts:
    """Read the facts that the cards state."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def stale_results(results: dict[str, Facts], models: Sequence[Path]) -> list[str]:
    """Name the results that were measured with another file than the model of that name and precision."""
    hashes = {_variant(spec_from_onnx(path)): sha256_of(path) for path in models}
    return [
        f"{name} was measured with {model['name']} {model['precision']} {model['sha256'][:12]}, the package holds "
        f"{hashes[model['name'], model['precision']][:12]}: run benchmarks/{re.split('[.-]', name)[0]}.py again"
        for name, result in results.items()
        for model in result["models"]
        if hashes.get((model["name"], model["precision"]), model["sha256"]) != model["sha256"]
    ]


def _variant(spec: ModelSpec) -> tuple[str, str]:
    return spec.name, spec.precision


def card(path: Path, facts: Facts, results: dict[str, Facts]) -> str:
    """Return the card of a model file.

    Raises ValueError when cards.toml holds no facts for a model of that name.
    """
    spec = spec_from_onnx(path)
    own = _nearest(spec.name, facts["models"])
    if own is None:
        raise ValueError(f"cards.toml has no [models.{spec.name}]; add its seed, sets and teachers")
    parts = [
        f"# {spec.name}\n\n{spec.description.rstrip('.')}.\n",
        table(("", ""), _identity(path, spec)),
        "## What it gives\n\n" + _outputs(spec),
        "## How it was made\n\n" + _making(spec, own, facts),
        "## Data and terms\n\n" + _data(spec, own, facts),
        "## Measured\n\n" + _measured(path, spec, results),
        *_worst(own, spec.name),
        "## Limits\n\n" + _bullets(facts["limits"][spec.task] + own.get("limits", [])),
        "## Not for\n\n" + _bullets(facts["not_for"][spec.task]),
        "<!-- Made by benchmarks/tables.py; change cards.toml, the recipe or the results instead. -->\n",
    ]
    return "\n".join(parts)


def _nearest(name: str, known: dict[str, Facts]) -> Facts | None:
    """Return the entry of a model, or of the model that it is a variant of (NAME-fp16 of NAME)."""
    fitting = [other for other in known if name == other or name.startswith(f"{other}-")]
    return known[max(fitting, key=len)] if fitting else None


def _identity(path: Path, spec: ModelSpec) -> list[tuple[str, str]]:
    size = network_size(path)
    per = "a crop" if spec.task == "face" else f"at {spec.input.width}x{spec.input.height}"
    return [
        ("task", spec.task),
        ("version", spec.version),
        ("precision", spec.precision),
        ("input", f"{spec.input.width}x{spec.input.height} {spec.input.channels}"),
        ("parameters", f"{size.parameters / 1e6:.3f} M"),
        ("multiply-accumulates", f"{size.macs / 1e6:.1f} M {per}"),
        ("file", f"{size.bytes / 1e6:.2f} MB, SHA-256 `{sha256_of(path)}`"),
        ("licence", spec.licence),
    ]


def _outputs(spec: ModelSpec) -> str:
    if spec.detector:
        strides = ", ".join(f"{level.stride}" for level in spec.detector.levels)
        return (
            f"Boxes, scores and five points of up to {spec.detector.max_faces} faces, from anchors at strides "
            f"{strides}; shipped to report scores of {spec.detector.min_score} and more.\n"
        )
    rows = [(head.field, head.kind, ", ".join(head.labels)) for head in spec.heads]
    return table(("field", "head", "labels"), rows)


def _making(spec: ModelSpec, own: Facts, facts: Facts) -> str:
    recipes = {
        read["name"]: (file, read)
        for file in sorted(RECIPES.glob("*.toml"))
        if "name" in (read := facts_from(file))
    }
    found = _nearest(spec.name, {name: {"file": file, **read} for name, (file, read) in recipes.items()})
    lines = [f"{spec.source[:1].upper()}{spec.source[1:].rstrip('.')}."] if spec.source else []
    if found:
        place = found["file"].relative_to(REPOSITORY).as_posix()
        lines.append(f"Recipe: `{place}`, seed {own['seed']}; {_flat(found.get('schedule', {}))}.")
    teachers = [facts["teachers"][name] for name in own.get("teachers", [])]
    lines += [f"Taught by {', and by '.join(teachers)}."] if teachers else []
    lines += own.get("history", [])
    return "\n".join(lines) + "\n"


def _flat(values: Facts) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _data(spec: ModelSpec, own: Facts, facts: Facts) -> str:
    rows = [(name, facts["sets"][name]) for name in own["sets"]]
    return f"{facts['labels'][spec.task].strip()}\n\n" + table(("set", "what it holds; its terms"), rows)


def _measured(path: Path, spec: ModelSpec, results: dict[str, Facts]) -> str:
    """Return the tables of all results that were measured with exactly this file, the main result's first."""
    digest = sha256_of(path)
    mine = [
        results[name]
        for name in sorted(results, key=lambda name: (name != MAIN, name))
        if digest in (model["sha256"] for model in results[name]["models"])
    ]
    if not mine:
        return "Not measured.\n"
    meaning = "What each figure means: `docs/accuracy.md` of the project.\n"
    return "\n".join([meaning, *(_figures(spec, result) for result in mine)])


def _figures(spec: ModelSpec, result: Facts) -> str:
    """Return the tables of one result; what was not asked for is left out, what could not be measured is not."""
    entries = [
        (path, entry)
        for path, entry in leaves(result)
        if concerns(spec.task, path) and ("ci95" in entry or not entry["note"].endswith(NOT_ASKED))
    ]
    rows = [row for path, entry in entries for row in figure_rows(path, entry)]
    figures = table(("figure", "value", "95 % interval", "n"), rows)
    return "\n".join([provenance(result), figures, *cross_tables(entries)])


def _worst(own: Facts, name: str) -> list[str]:
    """Return the section on the worst errors that somebody looked at, none where nobody has."""
    if "worst" not in own:
        return []
    if "version" not in own["worst"]:
        raise ValueError(f"cards.toml [models.{name}.worst] has no version; say which one was looked at")
    seen = f"Version {own['worst']['version']}, the worst 20 of each task on validation pictures"
    lessons = (f"{key.replace('_', ' ')}: {text}" for key, text in own["worst"].items() if key != "version")
    return [f"## What its worst errors show\n\n{seen} (`benchmarks/worst.py`):\n\n{_bullets(lessons)}"]


def _bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
