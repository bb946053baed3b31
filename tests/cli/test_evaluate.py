"""`atomweave evaluate`: files in, one folder out; every mistake is one sentence, and nothing half-written stays."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import atomweave
from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.evaluation.building import CACHED
from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.suites import SUITES
from atomweave.io import write
from evaluation.judged import HOSTILE
from evaluation.small_set import molecules
from reference import worked_molecules as worked
from reference.busyness import slowness

COMMAND = Path(sys.executable).with_name("atomweave")
WRITTEN = ["metrics.json", "molecules.csv", "report.html"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    write("a.sdf", [*molecules()[:6], worked.argon()])
    write("b.xyz", molecules()[6:10])


def evaluate(*arguments: str, reference: str = "none", suite: str = "edm") -> int:
    return run(["evaluate", *arguments, "--reference", reference, "--suite", suite, "--workers", "1"])


def metrics(folder: str = "out") -> dict:
    return json.loads(Path(folder, "metrics.json").read_text())


def rows(folder: str = "out") -> list[dict[str, str]]:
    with Path(folder, "molecules.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def visible(folder: str | Path = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def one_sentence(capsys, *parts: str) -> None:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    for part in parts:
        assert part in shown.err


def test_the_installed_command_leaves_report_metrics_and_molecules():
    command = [COMMAND, "evaluate", "a.sdf", "b.xyz", "-o", "out/deep", "--suite", "edm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert visible("out/deep") == WRITTEN
    found = metrics("out/deep")
    assert [one["name"] for one in found["sets"]] == ["a", "b"]
    valid = found["sets"][0]["measures"]["valid"]
    assert (valid["count"], valid["total"], tuple(valid["interval"])) == (6, 7, wilson(6, 7))
    assert (found["reference"]["name"], found["reference"]["n_molecules"]) == ("QM9", 130_831)
    table = rows("out/deep")
    assert [row["set"] for row in table] == ["a"] * 7 + ["b"] * 4
    assert [row["reason"] for row in table].count("no bonds") == 1
    page = Path("out/deep/report.html").read_text()
    assert "85.71" in page
    assert not re.search(r"(src|href)=.https?:", page)
    # Tables on standard output, all else on standard error.
    for told in ("xyz2mol-valid", "85.71 %", "100.00 %", "QM9", "GeoLDM"):
        assert told in done.stdout
    assert "out/deep" not in done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("out/")] == [
        f"out/deep/{name}" for name in ("report.html", "metrics.json", "molecules.csv")
    ]
    assert "a.sdf: bonds and charges in the SDF are not used" in done.stderr


def test_without_out_there_are_only_tables(capsys):
    assert evaluate("a.sdf") == 0
    assert "xyz2mol-valid" in capsys.readouterr().out
    assert visible() == ["a.sdf", "b.xyz"]


def test_chemiscope_is_written_on_request():
    assert evaluate("a.sdf", "-o", "out", "--chemiscope") == 0
    assert visible("out") == ["chemiscope.json.gz", *WRITTEN]
    assert len(json.loads(gzip.decompress(Path("out/chemiscope.json.gz").read_bytes()))["structures"]) == 7


def test_figures_are_those_of_the_function():
    assert evaluate("a.sdf", "-o", "out") == 0
    ours = atomweave.evaluate("a.sdf", None, "edm")
    measures = metrics()["sets"][0]["measures"]
    assert {name: measure["count"] for name, measure in measures.items()} == {
        name: measure.count for name, measure in ours.sets[0].measures.items()
    }
    assert metrics()["made"]["sha256"]["a"] == ours.made["sha256"]["a"]


def test_files_of_one_name_are_seeds_of_one_model(capsys):
    assert evaluate("a.sdf", "b.xyz", "--names", "ours, ours", "-o", "out") == 0
    (ours,) = metrics()["sets"]
    assert (ours["name"], ours["attempts"], len(ours["samples"])) == ("ours", 11, 2)
    valid = ours["measures"]["valid"]
    assert (valid["value"], tuple(valid["interval"])) == (pytest.approx(10 / 11), wilson(10, 11))
    assert valid["spread"]["n_parts"] == 2
    assert valid["spread"]["deviation"] == pytest.approx(np.std([6 / 7, 1], ddof=1))
    assert "±: standard deviation over 2 files" in capsys.readouterr().out


def test_files_of_the_same_stem_are_told_apart_by_their_paths():
    for folder in ("one", "two"):
        write(Path(folder, "samples.sdf"), molecules()[:2])
    assert evaluate("one/samples.sdf", "two/samples.sdf", "-o", "out") == 0
    assert [one["name"] for one in metrics()["sets"]] == ["one/samples.sdf", "two/samples.sdf"]


def test_a_folder_is_one_set(capsys):
    for index, molecule in enumerate(molecules()[:3]):
        write(f"many/{index}.xyz", [molecule])
    assert evaluate("many", "-o", "out") == 0
    assert (metrics()["sets"][0]["name"], metrics()["sets"][0]["attempts"]) == ("many", 3)
    assert [row["label"] for row in rows()] == ["0.xyz", "1.xyz", "2.xyz"]
    assert evaluate(".", "--format", "sdf") == 0
    assert "left out of the folder" in capsys.readouterr().err


def test_temperatures_number_and_format_are_heeded():
    Path("a.xyz").rename("a.data") if Path("a.xyz").exists() else write("a.data", molecules()[:6], "extxyz")
    arguments = ("a.data", "b.xyz", "--format", "xyz", "-n", "3", "--temperatures", "1,0.5", "-o", "out")
    assert evaluate(*arguments) == 0
    assert [(one["temperature"], one["attempts"]) for one in metrics()["sets"]] == [(1.0, 3), (0.5, 3)]


def test_several_suites_stand_below_one_another(capsys):
    assert run(["evaluate", "a.sdf", "--reference", "none", "-s", "edm", "-s", "symphony-table-5.1", "-s", "edm"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("stability and validity by EDM's table") == 1
    assert "validity and uniqueness by three ways" in shown


def test_suites_are_listed(capsys):
    assert run(["evaluate", "--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(SUITES)


def test_a_store_as_reference_is_judged_once():
    MoleculeStore.from_molecules(molecules()[:20]).write("data.safetensors")
    for _ in range(2):
        assert evaluate("b.xyz", "-o", "out", "--force", reference="data.safetensors") == 0
    assert metrics()["reference"]["name"] == "data"
    assert metrics()["sets"][0]["measures"]["novel"]["count"] == 0
    assert len([name for name in visible() if name.endswith(CACHED)]) == 1


def test_hostile_names_do_no_harm(capsys):
    name = HOSTILE.replace("\n", "").replace(",", "")
    assert evaluate("a.sdf", "--names", name, "-o", "out") == 0
    shown = capsys.readouterr()
    for text in (shown.out, shown.err, *(Path("out", file).read_text() for file in WRITTEN)):
        assert "\x1b" not in text
    assert "<script>\\x1b" in shown.out
    assert metrics()["sets"][0]["name"] == name.replace("\x1b", "\\x1b")
    assert name.replace("\x1b", "\\x1b") not in Path("out/report.html").read_text()  # its tag is no tag
    assert {row["set"] for row in rows()} == {"'" + name.replace("\x1b", "\\x1b")}


def test_a_hostile_file_name_does_no_harm(capsys):
    path = Path("x\x1b[2J<b>.sdf")
    write(path, molecules()[:2])
    assert evaluate(str(path), "-o", "out\x1b[2J") == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    path.write_text("nothing")
    assert evaluate(str(path)) == 3
    assert "\x1b" not in capsys.readouterr().err


MISTAKES = {
    "no such file": (["absent.sdf"], 3, "absent.sdf"),
    "no molecules": (["empty.xyz"], 3, "empty.xyz"),
    "unknown suffix": (["a.doc"], 3, "--format"),
    "a pickle": (["a.pkl"], 3, "pickle"),
    "no samples": ([], 2, "samples"),
    "unknown suite": (["a.sdf", "-s", "symphony-table-5.4"], 2, "did you mean 'symphony-table-5.3'"),
    "unknown reference": (["b.xyz", "--reference", "qm8"], 2, "reference: there is no 'qm8'"),
    "damaged reference": (["b.xyz", "--reference", "bad.safetensors"], 4, "bad.safetensors"),
    "cut reference": (["b.xyz", "--reference", "cut.safetensors"], 4, "cut.safetensors"),
    "weights as reference": (["b.xyz", "--reference", "weights.safetensors"], 4, "weights.safetensors"),
    "too few names": (["a.sdf", "b.xyz", "--names", "one"], 2, "--names: got 1 for 2 files"),
    "an empty name": (["a.sdf", "b.xyz", "--names", "one,"], 2, "--names: got 1 for 2 files"),
    "no names": (["a.sdf", "--names", ""], 2, "--names: got 0 for 1 files"),
    "a file twice": (["a.sdf", "./a.sdf"], 2, "a.sdf: is given twice"),
    "too many temperatures": (["a.sdf", "--temperatures", "1,2"], 2, "--temperatures"),
    "a word as temperature": (["a.sdf", "--temperatures", "hot"], 2, "--temperatures"),
    "infinite temperature": (["a.sdf", "--temperatures", "inf"], 2, "--temperatures"),
    "temperature nan": (["a.sdf", "--temperatures", "nan"], 2, "--temperatures"),
    "a word as energies": (["a.sdf", "--energies", "few"], 2, "--energies: got 'few'"),
    "a superscript as energies": (["a.sdf", "--energies", "²"], 2, "--energies: got '²'"),
    "negative relaxed": (["a.sdf", "--relaxed", "-1"], 2, "--relaxed: got '-1'"),
    "negative seed": (["a.sdf", "--seed", "-1"], 2, "--seed"),
    "no workers": (["a.sdf", "--workers", "0"], 2, "--workers"),
    "none of them": (["a.sdf", "-n", "0"], 2, "--number"),
    "timeout nan": (["a.sdf", "--timeout", "nan"], 2, "--timeout"),
    "unknown format": (["a.sdf", "--format", "pdf"], 2, "pdf"),
    "chemiscope without out": (["a.sdf", "--chemiscope"], 2, "--out"),
    "unknown option": (["a.sdf", "--colour"], 2, "--colour"),
    "out is a file": (["a.sdf", "-o", "b.xyz"], 3, "b.xyz is not a folder"),
    "out exists": (["a.sdf", "-o", "there"], 2, "add --force"),
    "out holds a folder": (["a.sdf", "-o", "odd", "--force"], 3, "is a folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(mistake, capsys):
    arguments, status, said = MISTAKES[mistake]
    Path("empty.xyz").write_text("")
    Path("a.doc").write_text("hello")
    Path("a.pkl").write_bytes(b"\x80\x04K\x01.")
    Path("bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    Reference("x", {"valid": 1.0}, arrays={"a/b": np.arange(99)}).write("cut.safetensors")
    Path("cut.safetensors").write_bytes(Path("cut.safetensors").read_bytes()[:-50])
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, "weights.safetensors")
    Path("there").mkdir()
    Path("there/metrics.json").write_text("mine")
    Path("odd/report.html").mkdir(parents=True)
    before = sorted(str(path) for path in Path().rglob("*"))
    assert run(["evaluate", *arguments]) == status
    one_sentence(capsys, said)
    assert sorted(str(path) for path in Path().rglob("*")) == before
    assert Path("there/metrics.json").read_text() == "mine"


def test_what_exists_is_refused_before_the_work_and_replaced_with_force(capsys, monkeypatch):
    assert evaluate("a.sdf", "-o", "out") == 0
    first = Path("out/molecules.csv").read_text()
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr("atomweave.evaluation.reading.read_attempts", None)  # calling it would fail
        assert evaluate("b.xyz", "-o", "out") == 2
    one_sentence(capsys, "report.html: exists", "--force")
    assert Path("out/molecules.csv").read_text() == first
    assert evaluate("b.xyz", "-o", "out", "--force") == 0
    assert metrics()["sets"][0]["name"] == "b"
    assert visible("out") == WRITTEN


def test_figures_are_shown_even_if_they_cannot_be_written(capsys, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device", "out/molecules.csv")

    monkeypatch.setattr("atomweave.evaluation.outputs.write_molecules", full)
    assert evaluate("a.sdf", "-o", "out") == 5
    shown = capsys.readouterr()
    assert "xyz2mol-valid" in shown.out
    assert (
        shown.err.splitlines()[-1] == "error: out/molecules.csv: No space left on device; make room and run it again."
    )
    assert not [name for name in visible("out") if name.startswith(".")]


def test_an_interrupt_leaves_no_file(capsys, monkeypatch):
    def interrupted(*arguments, **further):
        raise KeyboardInterrupt

    monkeypatch.setattr("atomweave.evaluation.evaluate.assess", interrupted)
    assert evaluate("b.xyz", "-o", "out") == 5
    one_sentence(capsys, "interrupted.")
    assert not Path("out").exists()


def group_exists(pgid: int) -> bool:
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker processes in Linux's /proc")
def test_ctrl_c_ends_all_processes_with_one_sentence():
    write("many.xyz", [*molecules()] * 400)
    command = [COMMAND, "evaluate", "many.xyz", "-o", "out", "--workers", "2"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stderr=pipe, stdout=pipe, start_new_session=True)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline and len(children_of(process.pid)) < 2:
        time.sleep(0.02)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    began = time.monotonic()
    shown, error = process.communicate(timeout=60)
    assert (time.monotonic() - began) / slowness() < 5
    assert (process.returncode, shown) == (5, b"")
    assert error.decode().splitlines()[-1] == "error: interrupted."
    assert b"Traceback" not in error
    assert not Path("out").exists()
    while group_exists(process.pid) and time.monotonic() < began + 10:
        time.sleep(0.02)
    assert not group_exists(process.pid)


def children_of(pid: int) -> list[str]:
    """Return the ids of a process's children, whichever of its threads started them."""
    found: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found += path.read_text().split()
    return found


def test_a_reader_that_leaves_early_gets_no_traceback():
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{COMMAND} evaluate a.sdf --reference none --workers 1 | head -1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_help_comes_at_once():
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([COMMAND, "evaluate", "--help"], capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert "--temperatures" in done.stdout
    assert min(seconds) < 0.6  # s of CPU time; 0.3 on an idle machine
