"""Everything a training run can be told: one typed tree that gives defaults, checks, documentation and the schema.

Where, not what: `device`, `threads`, `abreast`, `compile` and `prefetch` say where a run happens and may change between
legs; any other field makes another run (see `identity`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from ..config import Config
from ..models.presets import read_config
from ..models.registry import ModelConfig


class AdamConfig(Config):
    """Adam with decoupled weight decay (Kingma and Ba, 2015; Loshchilov and Hutter, 2019)."""

    kind: Literal["adam"] = "adam"
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the mean gradient")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the mean squared gradient")
    eps: float = Field(1e-8, gt=0, description="keeps the step finite where gradients vanish")
    weight_decay: float = Field(0.0, ge=0, description="decoupled, per step times the learning rate; 0 is plain Adam")


class MuonConfig(AdamConfig):
    """Muon for the hidden matrices that a model names, Adam for all else (see `training.muon`)."""

    kind: Literal["muon"] = "muon"  # type: ignore[assignment]
    momentum: float = Field(0.95, ge=0, lt=1, description="decay of the mean gradient of a hidden matrix")


OptimizerConfig = Annotated[AdamConfig | MuonConfig, Field(discriminator="kind")]


class ConstantSchedule(Config):
    """The same learning rate at every step, after an optional linear warm-up."""

    kind: Literal["constant"] = "constant"
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up")


class CosineSchedule(Config):
    """Linear warm-up, then half a cosine down to a fraction of the learning rate at the last step."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(1000, ge=0, description="steps of linear warm-up")
    final_fraction: float = Field(0.01, ge=0, le=1, description="learning rate of the last step, as a fraction")


ScheduleConfig = Annotated[ConstantSchedule | CosineSchedule, Field(discriminator="kind")]


class TrainingConfig(Config):
    """How a model is taught."""

    seed: int = Field(0, ge=0, description="with the step, decides every batch and every noise draw")
    n_steps: PositiveInt = Field(100_000, description="optimizer steps of the whole run")
    molecules_per_batch: PositiveInt = Field(16, description="molecules a step; their fragments share computation")
    decisions_per_molecule: PositiveInt | None = Field(None, description="decisions kept a molecule; null keeps all")
    micro_batches: PositiveInt = Field(1, description="parts in which a batch is computed, to save memory")

    optimizer: OptimizerConfig = AdamConfig()
    learning_rate: float = Field(5e-4, gt=0, description="peak learning rate")
    schedule: ScheduleConfig = Field(ConstantSchedule(), description="learning rate over steps, never over time")
    init_warmup_steps: int = Field(200, ge=0, description="least warm-up of a run that starts from trained weights")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient; null never clips")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights, which are what is used")
    autocast: Literal["none", "bfloat16"] = Field("none", description="precision of the wide matrix products")

    train_split: str = Field("edm/train", description='split of the store to learn from; "all" takes every molecule')
    valid_split: str = Field("edm/valid", description="split of the store that is measured, never learnt from")
    validation_every: PositiveInt = Field(2000, description="steps between validation losses")
    validation_molecules: PositiveInt = Field(512, description="molecules of the validation loss, always the same")
    samples_every: PositiveInt | None = Field(10_000, description="steps between grown samples; null never grows any")
    n_samples: PositiveInt = Field(1000, description="molecules grown to choose the best weights by their validity")
    log_every: PositiveInt = Field(50, description="steps between records in log.jsonl")
    checkpoint_every: PositiveInt = Field(1000, description="steps between checkpoints")

    device: str = Field("auto", description='"cpu", "cuda", "cuda:1"; "auto" takes a GPU where there is one')
    threads: PositiveInt | None = Field(None, description="CPU threads; null leaves it to torch")
    abreast: PositiveInt = Field(
        1,
        description="parts of a batch computed side by side, each with its share of the CPU threads and its own noise",
    )
    compile: bool = Field(False, description="run the loss through torch.compile")
    prefetch: PositiveInt = Field(4, description="batches that a thread prepares ahead")

    def identity(self) -> dict[str, Any]:
        """Return the fields that decide what is learnt: a run may only be resumed where these agree."""
        where = {"device", "threads", "abreast", "compile", "prefetch"}
        # Under a constant schedule a longer run begins with the shorter one, step by step.
        longer = {"n_steps"} if self.schedule.kind == "constant" else set()
        return self.model_dump(mode="json", exclude=where | longer)


class RunConfig(Config):
    """A model and how it is taught: the content of a preset."""

    model: ModelConfig = Field(description="what is taught; `kind` names the model")
    training: TrainingConfig = TrainingConfig()

    def identity(self) -> dict[str, Any]:
        """Return what decides the outcome of the run, as plain JSON values."""
        return {"model": self.model.model_dump(mode="json"), "training": self.training.identity()}

    @property
    def sha256(self) -> str:
        """Hash of `identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the configuration of a preset or YAML file, with `key.path=value` overrides applied.

    Raises:
        UsageError: if the preset, a field or a value does not exist or does not fit; the message names the path and
            the nearest valid name.
    """
    return read_config(name_or_path, overrides, RunConfig)
