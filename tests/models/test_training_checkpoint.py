"""Checkpoints: what is none is refused with a reason, and nothing half-written takes a good one's place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from vultus.errors import ModelError
from vultus_models.training.checkpoint import load_weights, read_checkpoint, write_checkpoint

REFUSED: list[tuple[str, bytes | None, str]] = [
    (
        "absent.pt",
        None,
        r"the checkpoint .*absent\.pt is not there; train its recipe first or name the right file",
    ),
    ("empty.pt", b"", r"empty\.pt is not a checkpoint of a run, or it is damaged$"),
    ("words.pt", b"no checkpoint", r"words\.pt is not a checkpoint of a run, or it is damaged$"),
]


@pytest.mark.parametrize(("name", "content", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_no_checkpoint_is_refused(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words):
        load_weights(nn.Linear(1, 1), tmp_path / name)


def test_a_cut_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    write_checkpoint({"model": nn.Linear(8, 8).state_dict()}, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match="is not a checkpoint of a run, or it is damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "stored", [{"weights": torch.zeros(1)}, torch.zeros(1)], ids=["no model", "a tensor"]
)
def test_a_file_without_weights_is_refused(stored: object, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"other\.pt holds no weights of a run; give best\.pt or last\.pt"):
        read_checkpoint(tmp_path / "other.pt")


def test_a_good_checkpoint_outlives_a_failed_write(tmp_path: Path) -> None:
    path, model = tmp_path / "best.pt", nn.Linear(2, 2)
    write_checkpoint({"model": model.state_dict()}, path)
    with pytest.raises(AttributeError):
        write_checkpoint({"model": lambda: None}, path)  # nothing that can be written
    assert [one.name for one in tmp_path.iterdir()] == ["best.pt"]
    fresh = nn.Linear(2, 2)
    load_weights(fresh, path)
    torch.testing.assert_close(fresh.state_dict(), model.state_dict())
