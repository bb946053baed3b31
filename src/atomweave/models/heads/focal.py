"""Which placed atom gets the next one, or STOP: by a classifier of atoms, as published, or by a pointer.

Published (Luo and Ji, ICLR 2022, section 3.3): every atom says on its own with which probability p_a it cannot be the
focus, because it has all its neighbours. Growing then takes the atoms with p_a < 0.5, hydrogens left out, as
candidates, draws the focus among them, each as likely, and stops where there are none.

The classifier is taught as independent Bernoulli variables, and that is the distribution that `log_probs` takes it for
(temperature 1): atom a is a candidate with probability q_a = 1 - p_a, so that

    P(STOP) = prod_a p_a,    P(f) = q_f E[1 / (1 + other candidates)] = q_f int_0^1 prod_{a != f} (p_a + q_a s) ds

whose integrand is a polynomial, so that quadrature is exact. A threshold in place of the draw is what temperature 0
comes to. `last` takes the candidate that was placed last, which in Prim's order nearly always is the focus.

A pointer has one softmax over the atoms and STOP, whose logit is 0, and is taught the focus itself.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ..precision import at_least_float32


class ClassifierConfig(Config):
    """A sigmoid for every atom: whether it has all its neighbours."""

    kind: Literal["sigmoid"] = "sigmoid"
    width: int = Field(128, ge=1, description="hidden width of the network that reads an atom's features")
    choice: Literal["uniform", "last"] = Field(
        "uniform", description="among the candidates: uniform draws one, as published; last takes the one placed last"
    )
    finished: bool = Field(
        False, description="whether the finished molecule is an example, none of whose atoms can be the focus"
    )


class PointerConfig(Config):
    """One softmax over the atoms and STOP; the finished molecule is the example of STOP."""

    kind: Literal["softmax"] = "softmax"
    width: int = Field(128, ge=1, description="hidden width of the network that reads an atom's features")


class Classifier(nn.Module):
    """Features of atoms -> logits that they have all their neighbours; see the module's docstring."""

    def __init__(self, config: ClassifierConfig, width: int) -> None:
        super().__init__()
        self.config, self.finished = config, config.finished
        self.network = _network(width, config.width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n_rows, n_atoms) logits of features (n_rows, n_atoms, width)."""
        return at_least_float32(self.network(features)[..., 0])

    def divergence(self, logits: Tensor, placed: Tensor, focus: Tensor, awaits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of all atoms' cross entropies, nats, and how many atoms there are.

        Args:
            logits: (n_rows, n_atoms).
            placed: (n_rows, n_atoms) bool.
            focus: (n_rows,) growth index, -1 at STOP; not needed here.
            awaits: (n_rows, n_atoms), how many neighbours each atom lacks.
        """
        del focus
        entropy = functional.binary_cross_entropy_with_logits(logits, (awaits == 0).to(logits), reduction="none")
        return torch.where(placed, entropy, 0.0).sum(), placed.sum()

    def log_probs(
        self, logits: Tensor, may: Tensor, heavy: Tensor, temperature: float = 1.0, threshold: float | None = None
    ) -> Tensor:
        """Return (n_rows, 1 + n_atoms) log-probabilities, STOP first.

        Args:
            logits: (n_rows, n_atoms).
            may: (n_rows, n_atoms) bool, the atoms that are placed and not known to have all their neighbours.
            heavy: (n_rows, n_atoms) bool, no hydrogens: these are never candidates.
            temperature: divides the logits.
            threshold: of the probability to have all neighbours; below it an atom is a candidate for certain, else it
                is not. None draws.
        """
        may = may & heavy
        if threshold is None:
            tempered = logits / temperature
        else:
            limit = math.log(threshold / (1 - threshold))
            tempered = torch.where(logits < limit, -torch.inf, torch.inf).to(logits)
        full = torch.where(may, functional.logsigmoid(tempered), 0.0)  # log p
        open_ = torch.where(may, functional.logsigmoid(-tempered), -torch.inf)  # log q
        stop = full.sum(1, keepdim=True)
        if self.config.choice == "last":
            later = full.flip(1).cumsum(1).flip(1)
            later = functional.pad(later[:, 1:], (0, 1))
            return torch.cat([stop, open_ + later], 1)
        s, log_weights = _nodes(logits.shape[1] // 2 + 1, logits.device)
        # (n_rows, n_atoms, n_nodes): an atom is no candidate, or is one.
        each = torch.logaddexp(full[..., None], open_[..., None] + s.log().to(full))
        others = each.sum(1, keepdim=True) - each
        return torch.cat([stop, open_ + (others + log_weights.to(full)).logsumexp(2)], 1)


class Pointer(nn.Module):
    """Features of atoms -> one softmax over them and STOP."""

    finished = True

    def __init__(self, config: PointerConfig, width: int) -> None:
        super().__init__()
        self.network = _network(width, config.width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n_rows, n_atoms) logits of features (n_rows, n_atoms, width)."""
        return at_least_float32(self.network(features)[..., 0])

    def divergence(self, logits: Tensor, placed: Tensor, focus: Tensor, awaits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of all decisions' cross entropies, nats, and how many there are; see `Classifier`."""
        del awaits
        log_p = self.log_probs(logits, placed, placed)
        return -log_p.gather(1, focus[:, None] + 1).sum(), log_p.new_tensor(len(log_p))

    def log_probs(
        self, logits: Tensor, may: Tensor, heavy: Tensor, temperature: float = 1.0, threshold: float | None = None
    ) -> Tensor:
        """Return (n_rows, 1 + n_atoms) log-probabilities, STOP first; as `Classifier.log_probs`.

        A pointer learns by itself that hydrogens are no foci, and a threshold means nothing to it.
        """
        del heavy, threshold
        return functional.pad(logits.masked_fill(~may, -torch.inf), (1, 0)).div(temperature).log_softmax(1)


FocalConfig = Annotated[ClassifierConfig | PointerConfig, Field(discriminator="kind")]


def build_focal_head(config: ClassifierConfig | PointerConfig, width: int) -> Classifier | Pointer:
    """Return the head that `config` describes, for features of this width."""
    return Pointer(config, width) if isinstance(config, PointerConfig) else Classifier(config, width)


def _network(n_in: int, width: int) -> nn.Sequential:
    first = nn.Linear(n_in, width)
    nn.init.orthogonal_(first.weight)
    return nn.Sequential(first, nn.ReLU(), nn.Linear(width, 1))


@lru_cache(maxsize=64)
def _nodes(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (n,) Gauss-Legendre nodes in (0, 1), exact up to degree 2 n - 1, and logarithms of their weights."""
    x, w = np.polynomial.legendre.leggauss(n)
    return torch.from_numpy((1 + x) / 2).to(device), torch.from_numpy(w / 2).log().to(device)
