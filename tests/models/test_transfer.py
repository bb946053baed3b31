"""What weights give to a model of other elements or another part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from atomweave.errors import UsageError
from atomweave.growth.policies import build_policy
from atomweave.models.registry import build_model
from atomweave.models.transfer import transfer
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.training.config import RunConfig, load_config
from reference.molecules import qm9_molecules
from reference.weaver import SMALL, awake

ELEMENTS = ["H", "C", "N", "O", "F"]


def weaver(elements: list[str], **changes) -> Weaver:
    return awake(Weaver(WeaverConfig.model_validate(SMALL | {"species": elements} | changes)).double())


@pytest.fixture(scope="module")
def taught() -> Weaver:
    torch.manual_seed(1)
    return weaver(ELEMENTS)


def test_other_order_of_elements_says_the_same(taught):
    elements = ["O", "H", "F", "N", "C"]
    model = weaver(elements)
    t, _ = build_policy(taught.policy, taught.species).grow_molecules(list(qm9_molecules().values()), 0)
    t = replace(t, positions=t.positions.double())
    renamed = torch.tensor([elements.index(symbol) for symbol in ELEMENTS])
    same = replace(t, species=renamed[t.species])
    with torch.no_grad():
        before = model.loss(same, None)["loss"]
        assert transfer(model, taught) == []
        model.set_start(torch.tensor([0.2] * 5))
        taught.set_start(torch.tensor([0.2] * 5))
        wanted = taught.loss(t, None)["loss"]
        torch.testing.assert_close(model.loss(same, None)["loss"], wanted)
    assert (before - wanted).abs() > 1e-3


def test_further_elements_leave_the_known_ones_as_they_were(taught):
    model = weaver(["C", "H", "S", "O", "N", "Cl"])
    before = model.atom.weight.clone()
    left = transfer(model, taught)
    n_degrees = model.max_degree + 1
    known, new = model.atom.weight.unflatten(0, (-1, n_degrees)), before.unflatten(0, (-1, n_degrees))
    source = taught.atom.weight.unflatten(0, (-1, n_degrees))
    for symbol, index in {"C": 0, "H": 1, "O": 3, "N": 4}.items():
        assert torch.equal(known[index], source[ELEMENTS.index(symbol)])
    assert torch.equal(known[[2, 5]], new[[2, 5]])
    assert {"atom.weight", "choice.2.weight", "inventory.ramps.weight", "foresight.of_rest.weight"} <= set(left)
    hidden = {name for name, tensor in model.state_dict().items() if name.startswith(("encoder.", "decoder."))}
    assert hidden
    assert not hidden & set(left)
    counts = model.choice[2].bias[6 * model.max_degree :], taught.choice[2].bias[5 * model.max_degree :]
    assert torch.equal(*counts)


def test_another_part_begins_untaught(taught):
    head = SMALL["position_head"] | {"n_distances": 31}
    model = weaver(ELEMENTS, position_head=head, expansion=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    left = transfer(model, taught)
    assert {name for name in left if "distance" in name or "closing" in name} == {
        "position_head.distance.2.weight", "position_head.distance.2.bias",
        "position_head.closing.2.weight", "position_head.closing.2.bias",
    }  # fmt: skip
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in left)
    assert not torch.equal(after["question.weight"], before["question.weight"])
    assert torch.equal(after["question.weight"], taught.question.weight)


def test_what_reads_conditions_goes_over_only_to_the_same_conditions():
    gap, other = weaver(ELEMENTS, conditions={"names": ["gap"]}), weaver(ELEMENTS, conditions={"names": ["homo"]})
    gap.condition_embedding.mean.fill_(6.9)
    left = transfer(other, gap)
    assert left
    assert set(left) == {name for name in other.state_dict() if name.startswith("condition_embedding.")}
    assert float(other.condition_embedding.mean[0]) != pytest.approx(6.9)
    same = weaver(ELEMENTS, conditions={"names": ["gap"]})
    assert transfer(same, gap) == []
    assert float(same.condition_embedding.mean[0]) == pytest.approx(6.9)


@pytest.mark.parametrize("preset", ["symphony-small", "gspherenet-small"])
def test_models_without_rows_per_element_take_what_has_the_same_shape(preset):
    config = load_config(preset).model
    torch.manual_seed(0)
    model, like = build_model(config), build_model(config)
    assert transfer(model, like) == []
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), like.parameters(), strict=True))


def test_elements_are_not_mixed_up_where_nobody_knows_their_rows():
    symphony, other = (
        build_model(load_config("symphony-small", [f"model.species={elements}"]).model)
        for elements in ("[H,C,N,O,F]", "[C,H,N,O,F]")
    )
    before = [tensor.clone() for tensor in other.parameters()]
    with pytest.raises(UsageError, match="its own elements only, in their order; got H C N O F, wanted C H N O F"):
        transfer(other, symphony)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


def test_another_kind_of_model_is_refused(taught):
    symphony = build_model(RunConfig.model_validate({"model": {"kind": "symphony"}}).model)
    with pytest.raises(UsageError, match="the weights are of a Weaver, the model to be taught is a Symphony"):
        transfer(symphony, taught)
