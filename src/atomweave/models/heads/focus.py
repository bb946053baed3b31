"""Which atom grows next, by which species, or STOP: one softmax over all atoms and species of the fragment.

The logit of STOP is 0 (Symphony, the authors' code; the thesis's equations 4.4 and 4.5 print two separate factors).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ...config import Config
from ..embedders.equivariant import Network


class FocusHeadConfig(Config):
    """Sizes of the network from an atom's invariants to its logits."""

    width: int = Field(128, ge=1, description="width of the hidden layers")
    n_hidden: int = Field(2, ge=0, le=1000, description="hidden layers")


class FocusHead(nn.Module):
    """Logits of (focus, species) for every atom of a fragment."""

    def __init__(self, config: FocusHeadConfig, channels: int, n_species: int) -> None:
        super().__init__()
        self.network = Network([channels, *[config.width] * config.n_hidden, n_species], "softplus")

    def forward(self, invariants: Tensor, row: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, 1 + n_atoms * n_species) logits: STOP first, then atom by atom.

        Args:
            invariants: (n_rows, channels), degree 0 of the focus embedder.
            row: (n_molecules, n_decisions, n_atoms), `PrefixRows.row`; atoms that the fragment lacks get -inf.
        """
        logits = self.network(invariants)
        absent = torch.full_like(logits[:1], -torch.inf) if len(logits) else logits.new_full((1, 1), -torch.inf)
        by_atom = torch.cat([logits, absent])[row]
        stop = logits.new_zeros(*row.shape[:2], 1)
        return torch.cat([stop, by_atom.flatten(2)], dim=-1)


def focus_divergence(logits: Tensor, targets: Tensor, stop: Tensor) -> Tensor:
    """Return (n_molecules, n_decisions) KL divergence from the targets to the model, in nats.

    Args:
        logits: (n_molecules, n_decisions, 1 + n_atoms * n_species), from `FocusHead`.
        targets: (n_molecules, n_decisions, n_atoms, n_species), sums to 1 where something is placed, else 0.
        stop: (n_molecules, n_decisions) bool, the target is STOP.
    """
    target = torch.cat([stop.to(logits)[..., None], targets.flatten(2)], dim=-1)
    log_model = logits - logits.logsumexp(dim=-1, keepdim=True)
    # 0 log 0 = 0: absent atoms have a logit of -inf and a target of 0.
    log_model = log_model.masked_fill(target == 0, 0.0)
    return (torch.xlogy(target, target) - target * log_model).sum(-1)
