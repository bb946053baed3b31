from __future__ import annotations

import re

import numpy as np
import pytest

from atomweave.chemistry.radii import longest_bond
from atomweave.errors import AtomweaveError, UsageError
from atomweave.models.presets import preset_names, to_yaml
from atomweave.species import Species
from atomweave.training.config import RunConfig, load_config


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_sound_and_names_every_model_field(name):
    config = load_config(name)
    assert isinstance(config, RunConfig)
    assert config.training.n_samples >= 1000, "fewer molecules cannot tell good weights from better ones"


@pytest.mark.parametrize("name", preset_names())
def test_printed_configuration_can_be_fed_back(name, tmp_path):
    config = load_config(name, ["training.clip_norm=2.5", "training.schedule.kind=cosine", "model.policy.start=H"])
    file = tmp_path / "again.yaml"
    file.write_text(to_yaml(config))
    again = load_config(file)
    assert again == config
    assert to_yaml(again) == to_yaml(config)


def test_printed_configuration_says_what_every_field_is():
    lines = to_yaml(load_config("symphony")).splitlines()
    assert any(line.startswith("  learning_rate: 0.0005  # peak") for line in lines)
    assert any(line.startswith("    start: data  # first atom") for line in lines)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.learning_rate=1e-3", "training.learning_rate", 1e-3),
        ("training.clip_norm=null", "training.clip_norm", None),
        ("training.decisions_per_molecule=7", "training.decisions_per_molecule", 7),
        ("training.schedule.warmup_steps=9", "training.schedule.warmup_steps", 9),
        ("training.compile=true", "training.compile", True),
        ("model.species=[H,C,O]", "model.species", ("H", "C", "O")),
        ("model.position_embedder=null", "model.position_embedder", None),
        ("model.policy.heavy_first=true", "model.policy.heavy_first", True),
    ],
)
def test_override_changes_one_field_and_nothing_else(override, path, value):
    config = load_config("symphony", [override])
    *parents, name = path.split(".")
    plain, changed = load_config("symphony").model_dump(), config.model_dump()
    plain_part, changed_part = plain, changed
    for parent in parents:
        plain_part, changed_part = plain_part[parent], changed_part[parent]
    assert changed_part[name] == value
    changed_part[name] = plain_part[name]
    assert changed == plain


def test_new_kind_replaces_the_whole_part():
    before = load_config("symphony", ["training.schedule.warmup_steps=9"])
    assert before.training.schedule.warmup_steps == 9
    after = load_config("symphony", ["training.schedule.kind=cosine", "training.schedule.final_fraction=0.5"])
    assert (after.training.schedule.kind, after.training.schedule.final_fraction) == ("cosine", 0.5)
    assert after.training.schedule.warmup_steps == 1000, "the default of the new kind, not the value of the old"
    head = load_config("symphony", ["model.position_head.radius=spline"]).model.position_head
    assert head.radius == "spline"
    assert not hasattr(head, "n_radii")


def test_naming_the_kind_that_is_there_keeps_the_rest():
    head = load_config("symphony", ["model.position_head.n_radii=32", "model.position_head.radius=bins"])
    assert head.model.position_head.n_radii == 32
    assert head.model.position_head.target_inverse_temperature == 20.0


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.learning_rat=1", r"training\.learning_rat: there is no such field; did you mean 'learning_rate'\?"),
        ("trainig.seed=1", r"trainig: there is no such field; did you mean 'training'\?"),
        ("model.position_head.n_radi=3", r"model\.position_head\.n_radi: .*did you mean 'n_radii'\?"),
        ("model.kind=symfony", r"model\.kind: there is no model 'symfony'; did you mean 'symphony'\?"),
        ("training.schedule.kind=cosin", r"training\.schedule\.kind: there is no 'cosin'; did you mean 'cosine'\?"),
        ("model.position_head.radius=bin", r"model\.position_head\.radius: .*did you mean 'bins'\?"),
        ("training.autocast=bf16", r"training\.autocast: got 'bf16'; did you mean 'bfloat16'\?"),
        ("training.n_steps=many", r"training\.n_steps: got 'many', wanted a number"),
        ("training.n_steps=1.5", r"training\.n_steps: got 1\.5"),
        ("training.learning_rate=-1", r"training\.learning_rate: got -1.*greater than 0"),
        ("training.learning_rate=nan", r"training\.learning_rate: got 'nan'"),
        ("training.optimizer=3", r"training\.optimizer: got 3"),
        ("training.optimizer.beta1=${oc.env:HOME}", r"training\.optimizer\.beta1: got '\$\{oc\.env:HOME\}'"),
        ("seed", "wanted key.path=value"),
        ("=3", "wanted key.path=value"),
        ("training..seed=3", "wanted key.path=value"),
        ("training.seed=[1", "cannot be read"),
    ],
)
def test_wrong_override_names_the_path_and_what_was_meant(override, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        load_config("symphony", [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: {kind: symphony}\ntraining: {sed: 1}", r"own\.yaml: training\.sed: .*did you mean 'seed'"),
        ("training: {seed: 1}", r"own\.yaml: model: is missing"),
        ("model: {}", r"model\.kind: is missing"),
        ("model: 3", r"own\.yaml: model: got 3"),
        ("- 1", "wanted named fields"),
        ("a: [1", "not readable as YAML"),
        ("!!python/object/apply:os.system ['true']", "not readable as YAML"),
    ],
)
def test_wrong_file_names_itself_and_the_path(text, sentence, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        load_config(file)


def test_unknown_element_is_refused():
    with pytest.raises(AtomweaveError, match="unknown element 'Xx'"):
        load_config("symphony", ["model.species=[H,Xx]"])


def test_unknown_preset_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"no preset 'symfony'; did you mean 'symphony'\?"):
        load_config("symfony")


def test_absent_file_lists_the_presets(tmp_path):
    with pytest.raises(UsageError, match=r"there is no such file.*symphony"):
        load_config(tmp_path / "absent.yaml")


def test_identity_of_a_run_leaves_out_where_it_happens():
    plain = load_config("symphony")
    for elsewhere in ("training.threads=3", "training.device=cuda", "training.compile=true", "training.n_steps=7"):
        assert load_config("symphony", [elsewhere]).sha256 == plain.sha256
    for other in ("training.seed=3", "model.noise.std=0.1", "training.schedule.kind=cosine"):
        assert load_config("symphony", [other]).sha256 != plain.sha256
    cosine = "training.schedule.kind=cosine"
    assert load_config("symphony", [cosine, "training.n_steps=7"]).sha256 != load_config("symphony", [cosine]).sha256


@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("weaver")])
def test_every_bond_that_the_policy_may_follow_has_a_density(name):
    """Atoms of a preset's elements are bonded up to some distance; the position head must reach as far."""
    model = load_config(name).model
    assert model.position_head.maximum >= longest_bond(np.array(Species(model.species).numbers))
    width = (model.position_head.maximum - model.position_head.minimum) / model.position_head.n_distances
    assert width == pytest.approx(0.008 if name == "weaver-drugs" else 0.002, rel=0.01)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.n_steps=true", "training.n_steps: got True, wanted a number."),
        ("training.learning_rate=.inf", "training.learning_rate: got inf"),
        ("training.learning_rate='1e-3x'", "training.learning_rate: got '1e-3x', wanted a number."),
        ("training.compile=1", "training.compile: got 1, wanted true or false."),
    ],
)
def test_what_only_looks_right_is_refused(override, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        load_config("symphony", [override])


def test_a_misspelt_kind_is_recognised(tmp_path):
    (tmp_path / "a.yaml").write_text("model: {knid: symphony}\n")
    with pytest.raises(UsageError, match=r"model.knid: there is no such field; did you mean 'kind'\?"):
        load_config(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("model: {kind: symphony}\ntraining: {optimizer: {kinnd: adam}}\n")
    with pytest.raises(UsageError, match=r"training.optimizer.kinnd: there is no such field; did you mean 'kind'\?"):
        load_config(tmp_path / "a.yaml")
