"""On what the service runs: engines, the CPU until there are some, or nothing yet. Real models, no GPU."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import sidecars
from recorded_boards import unpack
from vultus.engines.devices import cuda_problem
from vultus.errors import DeviceError
from vultus.service import choice
from vultus.service.choice import choose
from vultus.service.config import Config, Models, Run, Source
from vultus.service.firstboot import FirstBoot, write_firstboot
from vultus.service.places import Places, places
from vultus.service.work import open_work, renewed
from vultus.zoo import default_models

CONFIG = Config(Source(path="x"))
NAMES = {
    precision: [f"{path.stem}{end}" for path in default_models()]
    for precision, end in (("fp32", ""), ("fp16", "-fp16"), ("int8", "-int8"))
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root of a device whose first boot has begun."""
    (tmp_path / "var/lib/vultus/engines").mkdir(parents=True)
    write_firstboot(places(tmp_path).firstboot, FirstBoot("building", "detector-fp16", 1, 2))
    return tmp_path


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GPU be there as far as the driver tells."""
    monkeypatch.setattr(choice, "cuda_problem", lambda: "")


def configured(precision: str = "fp16", **run: object) -> Config:
    return replace(CONFIG, models=Models(precision=precision), run=Run(**run))  # type: ignore[arg-type]


def names(chosen: choice.Choice) -> list[str]:
    return [path.stem for path in chosen.models]


def put_engines(where: Places, slot: str, stems: list[str]) -> None:
    """Put engines of another TensorRT into a slot and make it the current one."""
    folder = where.state / "engines" / slot
    folder.mkdir()
    for stem in stems:
        sidecars.saved(folder, sidecars.made(), name=f"{stem}.engine")
    where.engines.unlink(missing_ok=True)
    where.engines.symlink_to(slot)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_cpu_that_was_asked_for_runs_what_was_asked_for(precision: str, root: Path) -> None:
    chosen = choose(configured(precision, device="cpu"), places(root), root)
    assert names(chosen) == NAMES[precision]
    assert (chosen.device, chosen.slot, chosen.warning, chosen.wait) == ("cpu", None, "", "")


@pytest.mark.usefixtures("gpu")
def test_engines_are_taken_when_all_are_there(root: Path) -> None:
    where = places(root)
    put_engines(where, "b", NAMES["fp16"])
    chosen = choose(configured(device="cuda"), where, root)
    assert [path.parent for path in chosen.models] == [where.engines] * 2
    assert names(chosen) == NAMES["fp16"]
    assert (chosen.device, chosen.slot, chosen.warning) == ("cuda", "b", "")


BUILDING = "the first boot is not done: building 1 of 2 detector-fp16"


@pytest.mark.usefixtures("gpu")
def test_until_then_the_cpu_runs_in_fp32_and_says_so(root: Path) -> None:
    chosen = choose(configured(device="cuda"), places(root), root)
    assert names(chosen) == NAMES["fp32"]
    assert (chosen.device, chosen.warning) == ("cpu", f"runs on the CPU, which is slow: {BUILDING}")


@pytest.mark.usefixtures("gpu")
def test_or_nothing_runs_where_the_cpu_is_not_allowed(root: Path) -> None:
    chosen = choose(configured(device="auto", cpu_until_ready=False), places(root), root)
    assert chosen.wait == f"{BUILDING}; waiting, since run.cpu_until_ready is false"


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("told", "why"),
    [
        (FirstBoot("failed", "selftest", why="differs"), "the first boot is not done: failed at selftest: differs"),
        (FirstBoot("ready", slot="a"), "there is no {missing}.engine in {engines}; rm {ready} and systemctl"),
        (None, "the first boot has not begun; see systemctl status vultus-firstboot"),
    ],
)  # fmt: skip
def test_why_there_are_no_engines(told: FirstBoot | None, why: str, root: Path) -> None:
    where = places(root)
    put_engines(where, "a", NAMES["fp16"][:1])
    where.firstboot.unlink()
    if told is not None:
        write_firstboot(where.firstboot, told)
    chosen = choose(configured(), where, root)
    wanted = why.format(engines=where.engines, ready=where.ready, missing=NAMES["fp16"][1])
    assert chosen.warning.startswith(f"runs on the CPU, which is slow: {wanted}")


@pytest.mark.usefixtures("gpu")
def test_a_broken_word_of_the_first_boot_is_told(root: Path) -> None:
    places(root).firstboot.write_text('{"state": "dancing"}')
    assert "firstboot.json: is malformed: Invalid enum value" in choose(CONFIG, places(root), root).warning


@pytest.mark.usefixtures("gpu")
def test_a_jetson_expects_engines_before_its_first_boot_began(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    assert "the first boot has not begun" in choose(CONFIG, places(root), root).warning


@pytest.mark.usefixtures("gpu")
def test_another_machine_with_a_gpu_runs_onnx_on_it(tmp_path: Path) -> None:
    chosen = choose(configured(device="cuda"), places(tmp_path), tmp_path)
    assert names(chosen) == NAMES["fp16"]
    assert (chosen.device, chosen.warning) == ("cuda", "")


# Without a GPU, models are really opened

no_gpu = pytest.mark.skipif(not cuda_problem(), reason="for machines without a GPU")


@no_gpu
def test_auto_without_a_gpu_is_the_cpu_by_choice(tmp_path: Path) -> None:
    work = open_work(configured(device="auto", threads=1), places(tmp_path), root=tmp_path)
    assert (names(work.chosen), work.chosen.device, work.chosen.warning) == (NAMES["fp32"], "auto", "")
    assert work.analyzer is not None
    work.close()


@no_gpu
def test_cuda_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="device 'cuda' was asked for, but"):
        open_work(configured(device="cuda"), places(tmp_path), root=tmp_path)


def test_a_reload_keeps_the_models_that_stay_the_same(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured("fp32", device="cpu", threads=1)
    work = open_work(config, places(root), root=root)
    same = open_work(replace(config, sha256="new"), places(root), work, root)
    assert same.analyzer is work.analyzer
    assert same.config.sha256 == "new"
    other = open_work(configured("fp32", device="cpu", threads=1, attributes=()), places(root), work, root)
    assert other.analyzer is not work.analyzer
    work.close()
    other.close()
    assert (
        capsys.readouterr().err.count(
            f"vultus: opened {NAMES['fp32'][0]}.onnx and {NAMES['fp32'][1]}.onnx for device cpu"
        )
        == 2
    )


@pytest.mark.usefixtures("gpu")
def test_engines_that_do_not_run_leave_the_cpu_and_are_not_tried_again(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, config = places(root), configured(device="cuda", threads=1)
    work = open_work(config, where, root=root)
    assert work.chosen.warning == f"runs on the CPU, which is slow: {BUILDING}"
    assert renewed(work, where, root) is work
    put_engines(where, "a", NAMES["fp16"])
    refused = renewed(work, where, root)
    assert refused.chosen.device == "cpu"
    assert refused.chosen.warning.startswith("runs on the CPU, which is slow: the engines do not run: ")
    capsys.readouterr()
    write_firstboot(where.firstboot, FirstBoot("building", "again", 0, 2))
    again = renewed(refused, where, root)
    assert again is not refused
    assert again.analyzer is refused.analyzer
    assert capsys.readouterr().err == ""
    work.close()
    again.close()


def test_a_model_that_was_replaced_is_opened_anew(tiny_detector: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    model = models / tiny_detector.name
    shutil.copy(tiny_detector, model)
    only = Models(str(models), face="none", precision="fp32")
    config = replace(CONFIG, models=only, run=Run("cpu", threads=1))
    work = open_work(config, places(tmp_path))
    assert open_work(config, places(tmp_path), work).analyzer is work.analyzer
    shutil.copy(tiny_detector, models / "part")
    (models / "part").replace(model)
    other = open_work(config, places(tmp_path), work)
    assert other.analyzer is not work.analyzer
    work.close()
    other.close()
