"""What is compared with what: the ablations, their variants, and the figures that they are judged by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.provenance import REPOSITORY

__all__ = ["PLANS", "Plan", "Trained", "Variant"]

RECIPES = REPOSITORY / "models" / "vultus_models" / "recipes"


@dataclass(frozen=True)
class Trained:
    """A recipe and the run that holds its weights; the run is named as the recipe unless it says otherwise."""

    recipe: Path
    run: str = ""

    @property
    def folder(self) -> str:
        """Name of the run's folder."""
        return self.run or self.recipe.stem


@dataclass(frozen=True)
class Variant:
    """One side of a comparison: its models, which together give the figures, and the runs that they build on."""

    words: str
    models: tuple[Trained, ...]
    needs: tuple[Trained, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One ablation. The first variant is what the others are held against.

    figures: path of a figure -> its keys; the first of them, on the validation rows, chooses among the variants.
    rising: whether more of that figure is better.
    """

    question: str
    variants: dict[str, Variant]
    figures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rising: bool = True

    @property
    def judge(self) -> str:
        """The figure that chooses, as path.key."""
        path, keys = next(iter(self.figures.items()))
        return f"{path}.{keys[0]}"


def _of(name: str, run: str = "") -> Trained:
    return Trained(RECIPES / "ablations" / f"{name}.toml", run)


def _one(words: str, name: str, run: str = "") -> Variant:
    return Variant(words, (_of(name, run),))


def _system(name: str) -> Trained:
    return Trained(RECIPES / f"{name}.toml")


def _recipe(words: str, name: str) -> Variant:
    return Variant(words, (_system(name),))


_TASKS = ("gender", "ethnicity", "attractiveness")

PLANS = {
    "age-encoding": Plan(
        "How should one trunk learn an age?",
        {
            "group-n": _one("overlapping groups of 11 ages, decoded around the peak", "base"),
            "softmax": _one("a softmax over 101 ages and its expectation", "age-softmax"),
            "regression": _one("one number", "age-plain"),
        },
        {"age.utkface": ("mae",)},
        rising=False,
    ),
    "age-group": Plan(
        "How many ages should a group of Group-n hold?",
        {
            "11": _one("groups of 11 ages", "base"),
            "5": _one("groups of 5 ages", "age-group-5"),
            "21": _one("groups of 21 ages", "age-group-21"),
        },
        {"age.utkface": ("mae",)},
        rising=False,
    ),
    "balance": Plan(
        "Should the tasks' weights be learnt?",
        {
            "fixed": _one("the weights of the recipe", "base"),
            "uncertainty": _one("weights that begin there and are learnt", "balance-uncertainty"),
        },
        {
            "expression.fer2013": ("accuracy",),
            "gender.celeba": ("accuracy",),
            "smile.mtfl": ("accuracy",),
            "ethnicity.utkface": ("accuracy",),
            "age.utkface": ("mae",),
            "landmarks68.all": ("nme_outer",),
        },
    ),
    "attractiveness-loss": Plan(
        "How should one trunk learn attractiveness?",
        {
            "smooth-l1": _one("one number, smooth L1", "rating-plain"),
            "smooth-huber": _one("one number, HMT-Net's smooth Huber", "rating-huber"),
            "crnet": _recipe("CRNet: a number, a class, and the class's expectation", "crnet"),
            "ridge": Variant(
                "features of the other tasks, Bayesian ridge regression",
                (_system("ridge"),),
                needs=(_system("ridge-trunk"),),
            ),
        },
        {"attractiveness.mebeauty": ("pearson", "mae")},
    ),
    "joint-apart": Plan(
        "Do gender, ethnicity and attractiveness gain from one HMT-Net?",
        {
            "joint": _recipe("one network, three branches", "hmt"),
            "apart": Variant(
                "three networks, each the path of its task, on as many labelled faces",
                tuple(_of(f"hmt-{task}") for task in _TASKS),
            ),
        },
        {
            "attractiveness.mebeauty": ("pearson", "mae"),
            "gender.utkface": ("accuracy",),
            "gender.celeba": ("accuracy",),
            "ethnicity.utkface": ("accuracy", "balanced_accuracy"),
        },
    ),
    "tree": Plan(
        "Does the expression gain from networks of eyes, nose and mouth?",
        {
            "global": _one("the global network alone", "tree-global", "tree"),
            "majority": _one("majority of the global network and the three parts", "tree-majority", "tree"),
            "mean": _recipe("mean of the four networks' probabilities", "tree"),
        },
        {"expression.fer2013": ("accuracy", "macro_recall")},
    ),
    "srn": Plan(
        "What do SRN's second steps bring a small detector?",
        {
            "one-step": _recipe("neither second step", "srn-lite-onestep"),
            "stc": _recipe("two-step classification on the fine level", "srn-lite-stc"),
            "str": _recipe("two-step regression on the coarse levels", "srn-lite-str"),
            "both": _recipe("both: SRN-lite", "srn-lite"),
        },
        {"detector.crowds": ("ap50", "ap40")},
    ),
}
"""Every ablation by name."""
