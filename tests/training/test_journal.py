from __future__ import annotations

import io
import json
import resource

import pytest
from rich.console import Console

from atomweave.errors import IncompleteError
from atomweave.training import journal
from atomweave.training.journal import Display, Journal


def test_log_is_cut_to_the_checkpoint_and_timings_are_kept(tmp_path):
    first = Journal(tmp_path)
    first.record(step=1, loss=0.1 + 0.2)
    log_bytes = first.sync()
    first.record(step=2, loss=1.0)
    first.time(step=2, unix_seconds=0.0)
    first.close()
    second = Journal(tmp_path, log_bytes)
    second.record(step=2, loss=3.0)
    second.time(step=2, unix_seconds=1.0)
    second.close()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert records == [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": 3.0}]
    assert len((tmp_path / "timing.jsonl").read_text().splitlines()) == 2


def test_log_that_lost_its_end_is_not_filled_up(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'{"step": 1}\n')
    resumed = Journal(tmp_path, log_bytes=1000)
    assert resumed.sync() == 12
    resumed.close()


def test_timings_go_on_after_a_line_that_was_cut(tmp_path):
    (tmp_path / "timing.jsonl").write_bytes(b'{"step": 1}\n{"ste')
    resumed = Journal(tmp_path)
    resumed.time(step=2)
    resumed.close()
    assert (tmp_path / "timing.jsonl").read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_a_log_without_room_is_one_sentence(tmp_path):
    full = Journal(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        full.record(step=1)
        with pytest.raises(IncompleteError, match=r"log\.jsonl: cannot be written"):
            full.record(step=2)
        full.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "log.jsonl").read_bytes().startswith(b'{"step": 1}\n')


def test_without_a_terminal_lines_come_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Display(100, Console(file=out, width=200)) as display:
        for step in range(1, 101):
            display.progress(step, lambda: "loss 1.0")
            now[0] += 1.0
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["step 1/100  loss 1.0", "step 21/100  loss 1.0"]
    assert len(lines) == 5


def test_on_a_terminal_a_bar_is_drawn():
    out = io.StringIO()
    with Display(10, Console(file=out, width=100, force_terminal=True)) as display:
        display.progress(5, lambda: "loss 1.0")
        display.say("step 5: validation loss 0.9 nats")
    shown = out.getvalue()
    assert "5/10" in shown
    assert "loss 1.0" in shown
    assert "step 5: validation loss 0.9 nats" in shown
