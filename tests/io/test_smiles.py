from __future__ import annotations

import pytest

from atomweave.errors import InputError
from atomweave.io.smiles import SmilesLine, read_smiles


def test_names_are_optional_and_may_hold_blanks(tmp_path):
    file = tmp_path / "a.smi"
    file.write_text("CCO ethanol, pure\n\n# a remark\nC\t7\nc1ccccc1\n")
    expected = [SmilesLine("CCO", "ethanol, pure"), SmilesLine("C", "7"), SmilesLine("c1ccccc1", "")]
    assert read_smiles(file) == expected


@pytest.mark.parametrize(("content", "says"), [(None, "there is no such file"), ("# nothing\n\n", "holds no SMILES")])
def test_a_file_without_smiles_is_refused(tmp_path, content, says):
    if content is not None:
        (tmp_path / "a.smi").write_text(content)
    with pytest.raises(InputError, match=says):
        read_smiles(tmp_path / "a.smi")
