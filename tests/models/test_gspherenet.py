from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from atomweave.errors import UsageError
from atomweave.growth.grower import grow
from atomweave.growth.trajectories import UNKNOWN, Decision, Fragments
from atomweave.models.base import TEMPERATURES, Model, Temperatures
from atomweave.models.gspherenet import GSphereNet, GSphereNetConfig
from atomweave.models.registry import build_model
from atomweave.training.config import load_config
from laws.fixed import trajectories
from laws.test_gspherenet import MIXTURES, SCHNET, build


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def published() -> GSphereNet:
    torch.manual_seed(0)
    model = build_model(GSphereNetConfig())
    assert isinstance(model, GSphereNet)
    return model


def test_published_size(published):
    """3,148,095 parameters (F 2.1) but for the four readouts whose output nobody read."""
    assert count(published) == 3_148_095 - 4 * 197_504 == 2_358_079
    head = published.position
    flows = [published.atom_type.flow, head.distance, head.angle, head.torsion]
    assert sum(map(count, flows)) == 1_096_824
    conditions = [published.around_focus, head.of_distance, head.of_angle, head.of_torsion]
    assert sum(map(count, conditions)) == 313_344
    assert count(published.focus) == 16_641


def test_untrained_flows_cost_half_the_mean_square_of_their_target():
    """F 7.3: the flow begins as the identity."""
    torch.manual_seed(0)
    model = GSphereNet(GSphereNetConfig.model_validate({"embedder": SCHNET, "objective": "likelihood"})).double()
    t = trajectories(torch.float64, model.species, model.policy)
    terms = model.loss(t, None)
    molecule, decision = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
    vectors = t.positions[molecule, t.target[molecule, decision]] - t.positions[molecule, t.focus[molecule, decision]]
    expected = (0.5 * vectors.square().sum(1) + 0.9189385332).sum() / t.n_decisions
    torch.testing.assert_close(terms["distance"].detach(), expected)


def test_published_loss_is_five_means():
    """F 2.7: type over steps and dimensions, each coordinate over the steps that have it, the classifier over atoms."""
    decisions = build(objective="likelihood")
    means = build(objective="means")
    means.load_state_dict(decisions.state_dict())
    t = trajectories(torch.float32, means.species, means.policy)
    terms, loss = decisions.loss(t, None), means.loss(t, None)["loss"]
    places = t.kind == Decision.PLACE
    prefix = t.prefix[places]
    counts = {
        "focus": prefix.sum(),
        "species": 5 * len(prefix),
        "distance": len(prefix),
        "angle": (prefix >= 2).sum(),
        "torsion": (prefix >= 3).sum(),  # no three atoms of these molecules are collinear
    }
    expected = sum(terms[name] * t.n_decisions / counts[name] for name in counts)
    torch.testing.assert_close(loss, expected)


def test_focal_classifier_learns_from_the_finished_molecule_only_if_told():
    for finished in (False, True):
        model = build(focus={"kind": "sigmoid", "finished": finished})
        t = trajectories(torch.float32, model.species, model.policy)
        stops = replace(t, kind=torch.where(t.kind == Decision.PLACE, int(Decision.PADDING), t.kind))
        assert (float(model.loss(stops, None)["focus"].detach()) > 0) == finished


def test_reflections_change_the_density_rotations_do_not():
    """Appendix A says "any orthogonal Q"; torsions are signed, so det Q = 1 is needed."""
    model = build().double()
    t = trajectories(torch.float64, model.species, model.policy)
    with torch.no_grad():
        there, mirrored = model.log_prob(t), model.log_prob(replace(t, positions=-t.positions))
        turned = model.log_prob(replace(t, positions=t.positions.flip(2) * torch.tensor([1.0, 1.0, -1.0])))
    torch.testing.assert_close(turned, there)
    assert ((mirrored - there).abs() > 1e-3).any()


def test_as_published_counts_neither_focus_nor_stop_nor_start():
    model = build().double()
    t = trajectories(torch.float64, model.species, model.policy)
    with torch.no_grad():
        before, complete = model.log_prob_as_published(t), model.log_prob(t)
        model.focus.network[2].bias += 1.0
        model.set_start(torch.tensor([0.5, 0.2, 0.1, 0.1, 0.1], dtype=torch.float64))
        torch.testing.assert_close(model.log_prob_as_published(t), before)
        assert ((model.log_prob(t) - complete).abs() > 0.1).all()


def test_what_lies_beyond_the_interval_is_not_taught_and_has_no_density():
    model = build(position=MIXTURES)
    t = trajectories(torch.float32, model.species, model.policy)
    stretched = replace(t, positions=3 * t.positions)
    loss = model.loss(stretched, None)["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    with torch.no_grad():
        assert (model.log_prob(stretched) == -torch.inf).all()


@pytest.mark.parametrize("features", ["both", "local", "global"])
@pytest.mark.parametrize("focus", ["sigmoid", "softmax"])
def test_ablations_are_taught_and_grow(features, focus):
    model = build(features=features, focus={"kind": focus})
    t = trajectories(torch.float32, model.species, model.policy)
    model.loss(t, torch.Generator().manual_seed(0))["loss"].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    grown = grow(model, 4, temperatures=TEMPERATURES["published"], start="C", max_atoms=4)
    assert len(grown.attempts) == 4


def test_threshold_decides_who_may_be_the_focus():
    model = build()
    t = trajectories(torch.float32, model.species, model.policy)
    unknown = torch.full_like(t.species, UNKNOWN, dtype=torch.int8)
    fragments = Fragments(t.species, t.positions, t.n_atoms, unknown, "prim")
    uniforms = torch.rand(len(t.n_atoms), model.n_draws, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        all_ = model.propose(fragments, uniforms, Temperatures(focus_threshold=0.999))
        none = model.propose(fragments, uniforms, Temperatures(focus_threshold=0.001))
    assert (all_.kind == Decision.PLACE).all()
    assert (none.kind == Decision.STOP).all()
    chosen = t.species.gather(1, all_.focus[:, None])[:, 0]
    assert (chosen != model.species.symbols.index("H")).all()


def test_augmentation_moves_what_is_read_and_keeps_what_is_predicted():
    config = {"noise": 0.3, "mirror": False}
    model, plain = build(augmentation=config).double(), build().double()
    t = trajectories(torch.float64, model.species, model.policy)
    with torch.no_grad():
        # Untrained to the last: what the heads say depends on features alone, and these hear of the noise.
        model.position.angle.weight.zero_()
        plain.position.angle.weight.zero_()
        noisy = model.loss(t, torch.Generator().manual_seed(0))
        exact = plain.loss(t, torch.Generator().manual_seed(0))
    assert float(noisy["focus"] - exact["focus"]) != 0
    torch.testing.assert_close(noisy["angle"], exact["angle"])


def test_mirror_images_teach_both_signs_of_a_torsion():
    torch.manual_seed(0)
    model = GSphereNet(GSphereNetConfig.model_validate({"embedder": SCHNET, "augmentation": {"mirror": True}})).double()
    t = trajectories(torch.float64, model.species, model.policy)
    with torch.no_grad():
        seen = {round(float(model.loss(t, torch.Generator().manual_seed(s))["torsion"]), 6) for s in range(12)}
        plain = {round(float(model.loss(t, None)["torsion"]), 6)}
    assert len(seen | plain) > 1


def test_muon_gets_the_wide_matrices_and_no_embedding(published):
    matrices = list(published.hidden_matrices())
    assert all(x.dim() == 2 and min(x.shape) >= 32 for x in matrices)
    assert not any(x is published.embedder.atom.weight for x in matrices)
    assert sum(x.numel() for x in matrices) > 0.9 * count(published)
    assert list(Model.hidden_matrices(published)) == []


def test_preset_is_what_the_defaults_are():
    assert load_config("gspherenet").model == GSphereNetConfig()


@pytest.mark.parametrize(
    ("preset", "override"),
    [
        ("gspherenet", "model.features=local"),
        ("gspherenet", "model.features=global"),
        ("gspherenet", "model.embedder.kind=dimenetpp"),
        ("gspherenet", "model.embedder.kind=schnet"),
        ("gspherenet", "model.focus.kind=softmax"),
        ("gspherenet", "model.focus.choice=last"),
        ("gspherenet", "model.focus.finished=true"),
        ("gspherenet", "model.atom_type.kind=softmax"),
        ("gspherenet", "model.position.distance.kind=spline"),
        ("gspherenet", "model.position.torsion.kind=mixture"),
        ("gspherenet", "model.references=bonded"),
        ("gspherenet-plus", "model.policy.order=published"),
        ("gspherenet-plus", "model.position.angle.kind=affine"),
    ],
)
def test_every_ablation_and_repair_is_one_override(preset, override):
    config = load_config(preset, [override]).model
    assert config != load_config(preset).model
    build_model(config)


def test_no_interval_is_no_model():
    with pytest.raises(UsageError, match=r"longest 0\.4 must exceed shortest 0\.5"):
        load_config("gspherenet-plus", ["model.position.longest=0.4"])
