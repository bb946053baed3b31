from __future__ import annotations

import pytest

from atomweave.discovery.plan import PLAN, Plan, defaults, keep_to
from atomweave.errors import RefusedFileError, UsageError


def plan(**changed) -> Plan:
    fields = {
        "target": "gap", "direction": "minimize", "threshold": 4.5, "model": "weaver-qm9", "model_sha256": "a" * 64,
        "data_sha256": "b" * 64,
    }  # fmt: skip
    return Plan.model_validate(fields | changed)


def test_the_paper_says_how_long():
    assert (defaults("paper", "gap")["epochs"], defaults("paper", "polarizability")["epochs"]) == (40, 80)
    assert (defaults("paper", "gap")["threshold"], defaults("paper", "polarizability")["threshold"]) == (4.5, 91.0)
    one = plan()
    assert (one.learning_rate, one.batch, one.number) == (1e-4, 32, 1000)
    assert defaults("paper", "dipole") == {}


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="there is none called 'papr'; did you mean 'paper'"):
        defaults("papr", "gap")


def test_the_same_plan_goes_on(tmp_path):
    keep_to(plan(), tmp_path / "run")
    keep_to(plan(), tmp_path / "run")
    assert Plan.model_validate_json((tmp_path / "run" / PLAN).read_text()) == plan()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"threshold": 4.0}, r"holds another run \(threshold 4.5 there, threshold 4.0 here\); take another -o"),
        ({"seed": 1}, "seed 0 there, seed 1 here"),
        ({"epochs": 2, "batch": 8}, "epochs 40 there, epochs 2 here; batch 32 there, batch 8 here"),
        ({"model": "other", "model_sha256": "c" * 64}, "model weaver-qm9 there, model other here"),
        (
            {"model_sha256": "c" * 64},
            r"model weaver-qm9 \(aaaaaaaaaaaa\) there, model weaver-qm9 \(cccccccccccc\) here",
        ),
        ({"temperatures": {"position": 0.5}}, '"position":1.0.* there, .*"position":0.5.* here'),
    ],
)
def test_a_changed_option_is_refused_by_name(tmp_path, changed, sentence):
    keep_to(plan(), tmp_path)
    before = (tmp_path / PLAN).read_bytes()
    with pytest.raises(UsageError, match=sentence):
        keep_to(plan(**changed), tmp_path)
    assert (tmp_path / PLAN).read_bytes() == before


def test_what_only_names_things_may_change(tmp_path):
    keep_to(plan(), tmp_path)
    keep_to(plan(model="copy.safetensors", data="elsewhere.safetensors"), tmp_path)


def test_more_may_be_scored_and_rounds_added_until_a_round_was_asked_for(tmp_path):
    keep_to(plan(scored=40), tmp_path)
    keep_to(plan(scored=None, budget=7), tmp_path)
    keep_to(plan(scored=200, rounds=1), tmp_path)
    keep_to(plan(scored=200, rounds=3), tmp_path)
    with pytest.raises(UsageError, match="scored 200 there, scored all here"):
        keep_to(plan(scored=None, rounds=3), tmp_path)
    with pytest.raises(UsageError, match="budget 100 there, budget 50 here"):
        keep_to(plan(scored=200, rounds=3, budget=50), tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no discovery run"):
        keep_to(plan(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", [b"{}", b"no json", b"\xff\xfe"])
def test_what_is_no_plan_is_refused(tmp_path, content):
    (tmp_path / PLAN).write_bytes(content)
    with pytest.raises(RefusedFileError, match="is no plan of a discovery run"):
        keep_to(plan(), tmp_path)
