#!/usr/bin/env python3
"""Train the variants of an ablation and measure them on the same pictures.

    python benchmarks/ablations.py NAME --data DIR --runs DIR

Runs that are finished are not trained again, an interrupted one goes on, and one that several ablations share is
trained once. Rows of split val choose, rows of split test are for the table; docs/models.md shows it. Exit codes:
0 measured, 1 a run, a model or a set cannot be used, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.ablation_figures import Looked, compared, looked_at
from harness.ablation_plans import PLANS, Plan, Trained, Variant
from harness.ablation_runs import exported, finish, steps_of
from harness.asking import watched
from harness.network_size import network_size
from harness.provenance import REPOSITORY, commit_of, write_json
from vultus import __version__
from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models
from vultus_export.metrics.identity import model_entry
from vultus_export.metrics.intervals import DRAWS, SEED

SCHEMA = 1
SPLITS = ("val", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is not trained, measure, write the JSON; return the exit code."""
    asked = _parser().parse_args(arguments)
    out = asked.json or REPOSITORY / "benchmarks" / "results" / f"ablation-{asked.name}.json"
    try:
        result = measure(asked)
        write_json(out, result)
    except (VultusError, OSError, ValueError, tarfile.TarError) as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 1
    print(f"best on val by {result['judge']}: {result['chosen']}")
    print(f"written: {out}")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one ablation."""
    began, plan = time.perf_counter(), PLANS[asked.name]
    for trained in _runs_of(plan):
        finish(trained, asked.data, asked.runs, asked.seed)
    files = {
        name: [exported(one, asked.runs) for one in variant.models] for name, variant in plan.variants.items()
    }
    detector = asked.detector or _default_detector()
    splits = {split: _figures(plan, files, detector, asked.data, split) for split in SPLITS}
    faces = any(spec_from_onnx(path).task == "face" for paths in files.values() for path in paths)
    return {
        "schema": SCHEMA,
        "ablation": asked.name,
        "question": plan.question,
        "judge": plan.judge,
        "chosen": _chosen(plan, splits["val"]),
        "vultus": __version__,
        "commit": commit_of(),
        "seed": asked.seed,
        "seconds": round(time.perf_counter() - began, 1),
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        "detector": model_entry(detector) if faces else None,
        "variants": {name: _entry(plan.variants[name], paths) for name, paths in files.items()},
        "splits": splits,
    }


def _runs_of(plan: Plan) -> list[Trained]:
    """Return what has to be trained, in order, each run once."""
    every = [one for variant in plan.variants.values() for one in (*variant.needs, *variant.models)]
    own = [one for one in every if not one.run]
    return [
        *dict.fromkeys(own),
        *(one for one in every if one.run and one.run not in {o.folder for o in own}),
    ]


def _default_detector() -> Path:
    return next(path for path in default_models() if spec_from_onnx(path).task == "detector")


def _figures(
    plan: Plan, files: Mapping[str, Sequence[Path]], detector: Path, data: Path, split: str
) -> dict[str, Any]:
    looked: dict[str, Looked] = {
        name: looked_at(paths, detector, data, split, plan.figures, watched) for name, paths in files.items()
    }
    found = {
        f"{path}.{key}": compared(looked, path, key) for path, keys in plan.figures.items() for key in keys
    }
    return {figure: entries for figure, entries in found.items() if entries}


def _chosen(plan: Plan, val: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the variant that is best on val by the figure that chooses; None where val has no rows for it."""
    values = {
        name: entry["value"] for name, entry in val.get(plan.judge, {}).items() if entry["value"] is not None
    }
    if not values:
        return None
    return (max if plan.rising else min)(values, key=values.__getitem__)


def _entry(variant: Variant, paths: Sequence[Path]) -> dict[str, Any]:
    models = []
    for trained, path in zip(variant.models, paths, strict=True):
        size = network_size(path)
        recipe = trained.recipe
        where = recipe.relative_to(REPOSITORY) if recipe.is_relative_to(REPOSITORY) else recipe.name
        models.append(
            {
                **model_entry(path),
                "recipe": str(where),
                "steps": steps_of(trained),
                "parameters": size.parameters,
                "macs": size.macs,
            }
        )
    return {"words": variant.words, "models": models}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        epilog="What is compared, and the tables: docs/models.md",
    )
    parser.add_argument("name", choices=sorted(PLANS), help="the ablation")
    parser.add_argument("--data", type=Path, required=True, help="folder of the picture sets")
    parser.add_argument("--runs", type=Path, required=True, help="folder that holds a run for each recipe")
    parser.add_argument(
        "--json", type=Path, help="file to write; by default benchmarks/results/ablation-NAME.json"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of every training")
    parser.add_argument("--detector", type=Path, help="finds the faces; by default the package's own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
