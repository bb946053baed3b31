"""The suite reaches no other machine, nor does any Python that it starts: see tests/offline/sitecustomize.py."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

ELSEWHERE = "192.0.2.1"  # of the block that RFC 5737 keeps for documentation: nobody has it


def test_another_machine_is_out_of_reach():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as end, pytest.raises(PermissionError, match="no other"):
        end.connect((ELSEWHERE, 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end, pytest.raises(PermissionError, match="no other"):
        end.sendto(b"?", (ELSEWHERE, 53))


def test_names_of_other_machines_are_not_looked_up():
    with pytest.raises(PermissionError, match=r"no other machine.*'example\.org'"):
        socket.create_connection(("example.org", 80))


def test_this_machine_is_within_reach():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as end:
        here, _ = server.accept()
        here.sendall(b"yes")
        here.close()
        assert end.recv(3) == b"yes"


def test_processes_that_tests_start_are_held_back_too():
    code = f"import socket; socket.create_connection(({ELSEWHERE!r}, 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "tests reach no other machine" in done.stderr
