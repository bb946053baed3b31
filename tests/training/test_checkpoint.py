from __future__ import annotations

import pytest
import torch

from atomweave import files
from atomweave.errors import RefusedFileError
from atomweave.training.checkpoint import (
    Best,
    RunState,
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)


def state(step: int) -> RunState:
    return RunState("hash", {"model": {}}, "store", step=step, sums={"loss": 0.1 + 0.2}, best=Best(1, "valid", 0.5))


def tensors(step: int) -> dict[str, torch.Tensor]:
    return {"model/weight": torch.arange(6.0).reshape(2, 3) * step, "optimizer/weight/step": torch.tensor(float(step))}


def test_round_trip(tmp_path):
    path = save_checkpoint(tmp_path, state(7), tensors(7))
    found_state, found = load_checkpoint(path)
    assert found_state == state(7)
    assert found.keys() == tensors(7).keys()
    assert all(found[name].equal(tensor) for name, tensor in tensors(7).items())


def test_two_are_kept(tmp_path):
    for step in (1, 2, 10, 11):
        save_checkpoint(tmp_path, state(step), tensors(step))
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000011.safetensors", "step-000000010.safetensors"]


@pytest.mark.parametrize("moment", ["save_file", "replace"])
def test_killed_inside_save_leaves_the_checkpoint_before(tmp_path, monkeypatch, moment):
    save_checkpoint(tmp_path, state(1), tensors(1))

    def die(*arguments, **options):
        raise KeyboardInterrupt

    if moment == "save_file":
        monkeypatch.setattr("atomweave.tensorfile.save_file", die)
    else:
        monkeypatch.setattr(files.Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, state(2), tensors(2))
    found_state, found = latest_checkpoint(tmp_path, on_refused=lambda error: pytest.fail(str(error)))
    assert found_state.step == 1
    assert found["model/weight"].equal(tensors(1)["model/weight"])
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_newest_checkpoint_is_told_and_passed_over(tmp_path):
    save_checkpoint(tmp_path, state(1), tensors(1))
    newest = save_checkpoint(tmp_path, state(2), tensors(2))
    newest.write_bytes(newest.read_bytes()[:-3])
    told = []
    found_state, _ = latest_checkpoint(tmp_path, told.append)
    assert found_state.step == 1
    assert [str(newest) in str(error) for error in told] == [True]


def test_only_damaged_checkpoints_are_no_beginning(tmp_path):
    path = save_checkpoint(tmp_path, state(1), tensors(1))
    path.write_bytes(b"x" * 100)
    with pytest.raises(RefusedFileError, match="no checkpoint is whole"):
        latest_checkpoint(tmp_path, lambda error: None)


def test_folder_without_checkpoints_is_a_beginning(tmp_path):
    assert latest_checkpoint(tmp_path / "absent", lambda error: None) is None


def test_weights_are_no_checkpoint(tmp_path):
    from atomweave.tensorfile import write_tensors

    write_tensors(tmp_path / "step-000000001.safetensors", tensors(1), {"format": "atomweave-weights", "version": "1"})
    with pytest.raises(RefusedFileError, match=r"'atomweave-weights'.*wanted 'atomweave-checkpoint'"):
        load_checkpoint(tmp_path / "step-000000001.safetensors")
