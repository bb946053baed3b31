"""What every embedder, head and model must obey: subclass a suite, give it the part, and pytest runs its tests.

class TestNequIP(EmbedderLaws):
    def build(self) -> nn.Module:
        return NequIP(NequIPConfig(channels=8), n_species=5)
"""

import pytest

pytest.register_assert_rewrite("laws.embedder", "laws.position_head", "laws.model", "laws.fixed")
