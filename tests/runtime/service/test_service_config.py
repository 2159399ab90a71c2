"""Configurations that can be used, and each way in which one cannot: line, key, what came, what was expected."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vultus.cli import app
from vultus.service.config import Config, ConfigError, Health, Models, Output, Run, Source
from vultus.service.lines import line_of
from vultus.service.models import MissingModel, model_files
from vultus.service.reading import config_from_text, read_config
from vultus.types import ATTRIBUTES
from vultus.zoo import default_models

SHIPPED = Path(__file__).parents[3] / "jetson" / "tree" / "etc" / "vultus" / "vultus.toml"
LISTED = f'expected "all" or a list of {", ".join(ATTRIBUTES)}'
HEAD = "schema = 1\n[source]\npath = 'a'\n"
WHOLE = """
schema = 1
[source]
gstreamer = '''
videotestsrc !
identity sync = true'''
size = "640x480"
rate = 5
colour = "bt709"
[models]
folder = "/opt/m"
detector = "d"
face = "none"
precision = "int8"
[run]
device = "cuda"
cpu_until_ready = false
attributes = ["age", "pose"]
min_score = 0.5
threads = 2
[[output]]
kind = "jsonlines"
path = "/x/y"
max_mib = 0.5
keep = 0
[[output]]
kind = "socket"
path = "/x/s"
[health]
power_mode = "15W"
least_fps = 4
stall_s = 3
"""


def test_every_key_is_read() -> None:
    made = config_from_text(WHOLE.encode(), "f", "sum")
    pipeline = "videotestsrc !\nidentity sync = true"
    assert made == Config(
        Source(gstreamer=pipeline, size="640x480", rate=5.0, colour="bt709"),
        Models("/opt/m", "d", "none", "int8"),
        Run("cuda", False, ("age", "pose"), 0.5, 2),
        (Output("jsonlines", "/x/y", 0.5, 0), Output("socket", "/x/s")),
        Health("15W", 4.0, 3.0),
        sha256="sum",
    )
    assert made.source.pixels == (640, 480)


def test_what_is_left_out_has_a_default() -> None:
    assert config_from_text(HEAD.encode(), "f") == Config(Source(path="a"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f:1: schema: is missing; write schema = 1 at the beginning"),
        ("schema = 2\n[source]\npath = 'a'", "f:1: schema: is 2, this vultus reads schema 1; install"),
        ("schema = true\n[source]\npath = 'a'", "f:1: schema: is True, this vultus reads schema 1"),
        ("schema = 1\n", "f:1: source: is missing; write a table [source] with one of path, url, gstreamer"),
        ("schema = 1\n[source]\nloop = true", "f:2: source: expected exactly one of path, url, gstreamer; got none"),
        (f"{HEAD}url = 'rtsp://x'", "f:4: source.url: expected exactly one of path, url, gstreamer; got path, url"),
        ("schema = 1\n[source]\nurl = 'x'", "f:3: source.url: got 'x', expected an address such as"),
        ("schema = 1\n[source]\nurl = 'me:se/c@ret@cam/1'", "f:3: source.url: got '***@cam/1', expected an address"),
        ("schema = 1\n[source]\nurl = ['rtsp://me:secret@cam']", "f:3: source.url: got [***@cam'], expected an"),
        ("schema = 1\nsource = 'rtsp://me:secret@cam'", "f:2: source: must be a table, written [source], not '***@c"),
        (f"{HEAD}pth = 3", "f:4: source.pth: is unknown; did you mean path?"),
        (f"{HEAD}zzz = 3", "f:4: source.zzz: is unknown; expected one of path, url, gstreamer, size"),
        (f"{HEAD}rate = 0", "f:4: source.rate: got 0, expected frames a second above 0"),
        (f"{HEAD}rate = inf", "f:4: source.rate: got inf, expected frames a second above 0"),
        (f"{HEAD}size = '640'", "f:4: source.size: got '640', expected a size such as \"1280x720\""),
        (f"{HEAD}size = '0x9'", "f:4: source.size: got '0x9', expected a size"),
        (f"{HEAD}loop = 1", "f:4: source.loop: got 1, expected true or false"),
        (f"{HEAD}colour = 'bt601'", "f:4: source.colour: is for gstreamer alone"),
        ("schema = 1\n[source]\nurl = 'rtsp://x'\nloop = true", "f:4: source.loop: is for files and folders alone"),
        ("schema = 1\n[source]\ngstreamer = 'x'", "f:3: source.gstreamer: its frames come without a size; add size"),
        ("schema = 1\n[source]\nsize = '5x4'\ngstreamer = 'x'", "f:3: source.size: 5x4 is odd; frames of gstreamer"),
        ("schema = 1\n[source]\nsize = '4x4'\ngstreamer = \"x 'y\"", "f:4: source.gstreamer: its quotes do not match"),
        ("schema = 1\nsource = 3", "f:2: source: must be a table, written [source], not 3"),
        (f"{HEAD}[modles]\n", "f:4: modles: is unknown; did you mean models?"),
        (f"{HEAD}[models]\nprecision = 'fp8'", "f:5: models.precision: got 'fp8', expected \"fp32\", \"fp16\" or"),
        (f"{HEAD}[models]\ndetector = ''", "f:5: models.detector: got '', expected the name of a detector"),
        (f"{HEAD}[run]\ndevice = 'gpu'", "f:5: run.device: got 'gpu', expected \"auto\", \"cpu\" or \"cuda\""),
        (f"{HEAD}[run]\nattributes = ['ages']", f"f:5: run.attributes: got ['ages'], {LISTED}"),
        (f"{HEAD}[run]\nattributes = 'none'", "f:5: run.attributes: got 'none', expected \"all\" or a list"),
        (f"{HEAD}[run]\nmin_score = 1.0", "f:5: run.min_score: got 1.0, expected a number above 0 and below 1"),
        (f"{HEAD}[run]\nthreads = 0", "f:5: run.threads: got 0, expected a whole number of CPU threads"),
        (f"{HEAD}[output]\nkind = 'socket'\npath = 'x'", "f:4: output: must be written [[output]], once for each"),
        (f"{HEAD}[[output]]\npath = 'x'", 'f:4: output[0].kind: is missing; expected "jsonlines" or "socket"'),
        (f"{HEAD}[[output]]\nkind = 'file'\npath = 'x'", "f:5: output[0].kind: got 'file', expected \"jsonlines\""),
        (f"{HEAD}[[output]]\nkind = 'socket'\npath = 'x'\nkeep = 1", "f:7: output[0].keep: is for kind ="),
        (
            f"{HEAD}[[output]]\nkind = 'socket'\npath = 'x'\n[[output]]\nkind = 'jsonlines'\npath = 'x'",
            "f:9: output[1].path: 'x' is the path of an output above; give it another",
        ),
        (f"{HEAD}[health]\nstall_s = -1", "f:5: health.stall_s: got -1, expected seconds above 0"),
        (f"{HEAD}[health\n", "f:4: is not TOML: "),
        (f"{HEAD}path = 'b'\n", "f:4: is not TOML: "),
        ("schema = 1\nx = '\udcff'", "f:2: is not UTF-8 text; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_a_problem_has_line_key_and_what_to_do(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        config_from_text(text.encode("utf-8", "surrogateescape"), "f")


def test_all_problems_are_found_at_once_and_in_the_order_of_lines() -> None:
    text = f"{HEAD}rate = 'x'\nurl = 3\n[health]\nstall_s = 0\n[run]\ndevice = 1\nthreads = 1.5\n"
    with pytest.raises(ConfigError) as caught:
        config_from_text(text.encode(), "f")
    found = [(problem.line, problem.key) for problem in caught.value.problems]
    assert found == [
        (4, "source.rate"),
        (5, "source.url"),
        (5, "source.url"),
        (7, "health.stall_s"),
        (9, "run.device"),
        (10, "run.threads"),
    ]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("source", "gstreamer"), 4),
        (("source", "size"), 7),
        (("output", 0, "keep"), 25),
        (("output", 1, "path"), 28),
        (("output", 1, "absent"), 26),
        (("health", "stall_s"), 32),
        (("nothing",), 1),
    ],
)
def test_lines_of_values(place: tuple[str | int, ...], line: int) -> None:
    assert line_of(WHOLE, place) == line


def test_texts_of_several_lines_hide_what_looks_like_keys() -> None:
    text = 'a = """\n[source]\npath = 1\n"""\nb = [\n"path = 2",\n]\n[source]\n"path" = 3\n'
    assert line_of(text, ("source", "path")) == 9


# The command


def check(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["config", "check", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_shipped_configuration_can_be_used_and_so_can_what_its_comments_show() -> None:
    assert check(SHIPPED) == (0, f"{SHIPPED}: can be used\n")
    text = re.sub(r"^# (?=[a-z_]+ = |\[\[)", "", SHIPPED.read_text(), flags=re.MULTILINE)
    ways = {way: re.search(rf"^{way} = .*\n", text, re.MULTILINE) for way in ("path", "url", "gstreamer")}
    for way, found in ways.items():
        assert found, way
        others = [other[0] for name, other in ways.items() if other and name != way]
        kept = "".join(line for line in text.splitlines(True) if line not in others)
        made = config_from_text((kept if way == "path" else kept.replace("loop = true", "")).encode(), way)
        assert getattr(made.source, way)
        assert (made.health.least_fps, made.run.threads, len(made.output)) == (10, 4, 2)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    said = f"{file}: cannot be read: No such file or directory; make it, or name another file\n"
    assert check(file) == (78, said)
    done = CliRunner().invoke(app, ["service", "--config", str(file)])
    assert (done.exit_code, done.output) == (78, said)


DETECTOR, NETWORK = (path.stem for path in default_models())


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("detector = 'x'", "models.detector: there is no model x-fp16.onnx in {zoo} (for detector = 'x', "),
        ("folder = '/none'", "models.folder: there is no folder /none; name one of models, or leave it out"),
        ("face = 'x'\nprecision = 'fp32'", "models.face: there is no model x.onnx in"),
        ("detector = '{face}'", "models.detector: {face}-fp16.onnx is a face network; name it in"),
        ("face = '{detector}'", "models.face: {detector}-fp16.onnx is a detector; name it in the other key"),
    ],
)  # fmt: skip
def test_models_that_are_not_there_or_not_what_they_are_named_for(
    models: str, said: str, tmp_path: Path
) -> None:
    names = {"detector": DETECTOR, "face": NETWORK, "zoo": default_models()[0].parent}
    file = tmp_path / "vultus.toml"
    file.write_text(f"{HEAD}[models]\n{models.format(**names)}\n")
    code, output = check(file)
    assert code == 78
    assert output.startswith(f"{file}:5: {said.format(**names)}")


def test_outputs_that_could_not_be_opened_and_nothing_is_made_for_them(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    (tmp_path / "folder").mkdir()
    file = tmp_path / "vultus.toml"
    outputs = [("jsonlines", "none/f"), ("socket", "none/s"), ("jsonlines", "folder"), ("socket", "taken")]
    listed = [f"[[output]]\nkind = '{kind}'\npath = '{tmp_path / name}'\n" for kind, name in outputs]
    file.write_text(f"{HEAD}{''.join(listed)}")
    before = sorted(tmp_path.rglob("*"))
    code, said = check(file)
    assert (code, said.splitlines()) == (
        78,
        [
            f"{file}:6: output[0].path: there is no folder {tmp_path}/none; make it first",
            f"{file}:9: output[1].path: there is no folder {tmp_path}/none; make it first",
            f"{file}:12: output[2].path: {tmp_path}/folder is a folder; name a file in it",
            f"{file}:15: output[3].path: {tmp_path}/taken is there already and is no socket; name another path, "
            "or remove it",
        ],
    )
    file.write_text(f"{HEAD}[[output]]\nkind = 'jsonlines'\npath = '{tmp_path}/taken'\n")
    assert check(file) == (0, f"{file}: can be used\n")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("folder", "the folder {folder} cannot be written by this user"),
        ("folder/old", "{folder}/old cannot be written by this user"),
    ],
)
def test_outputs_that_this_user_cannot_write(closed: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    (tmp_path / closed).chmod(0o555)
    if os.access(tmp_path / closed, os.W_OK):
        pytest.skip("this user may write everywhere")
    file = tmp_path / "vultus.toml"
    file.write_text(f"{HEAD}[[output]]\nkind = 'jsonlines'\npath = '{folder}/old'\n")
    code, shown = check(file)
    assert code == 78
    assert said.format(folder=folder) in shown


def test_a_configuration_of_another_root_is_held_against_that_root(tmp_path: Path) -> None:
    file = tmp_path / "etc/vultus/vultus.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f"{HEAD}[[output]]\nkind = 'socket'\npath = '/run/vultus/s'\n[[output]]\nkind = 'jsonlines'\n"
        "path = '/mnt/f'\n"
    )
    said = f"{file}:9: output[1].path: there is no folder {tmp_path}/mnt; make it first\n"
    assert check("--root", tmp_path) == (78, said), "systemd makes /run/vultus, and nobody makes /mnt"
    (tmp_path / "mnt").mkdir()
    assert check("--root", tmp_path) == (0, f"{file}: can be used\n")


def test_a_bundle_is_taken_before_the_package_and_below_a_root(
    tiny_models: list[Path], tmp_path: Path
) -> None:
    config = config_from_text(f"{HEAD}[models]\nprecision = 'fp32'".encode(), "f")
    assert model_files(config, tmp_path) == default_models()
    bundle = tmp_path / "opt/vultus/models/models"
    bundle.mkdir(parents=True)
    shutil.copy(tiny_models[0], bundle)
    said = rf"there is no model {NETWORK}.onnx in .* \(for face = '{NETWORK}', the default.*there are tiny-detector$"
    with pytest.raises(MissingModel, match=said) as caught:
        model_files(config, tmp_path)
    assert caught.value.key == "models.face"
    shutil.copy(tiny_models[1], bundle)
    (bundle / "broken.onnx").touch()
    assert model_files(config, tmp_path) == [bundle / model.name for model in tiny_models]  # the only ones
    shutil.copy(tiny_models[0], bundle / f"{DETECTOR}.onnx")
    assert model_files(config, tmp_path)[0] == bundle / f"{DETECTOR}.onnx"  # named like the package's
    folder = "detector = 'tiny-detector'\nface = 'none'\nfolder = '/opt/vultus/models'\nprecision = 'fp32'"
    alone = config_from_text(f"{HEAD}[models]\n{folder}".encode(), "f")
    assert model_files(alone, tmp_path) == [bundle / "tiny-detector.onnx"]


def test_the_sum_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "vultus.toml"
    file.write_text(HEAD)
    first = read_config(file)
    file.write_text(HEAD + "\n")
    assert len(first.sha256) == 64
    assert first.sha256 != read_config(file).sha256
