"""Python refuses to reach any other machine, in this process and, by PYTHONPATH, in all that tests start.

Python runs a module of this name when it starts; `tests/conftest.py` puts the folder on the path.
"""

from __future__ import annotations

import sys
from typing import Any


def refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """Let sockets of this machine pass: an audit hook, which nothing can take back."""
    if event not in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        return
    import socket

    host: Any = arguments[0]
    if event in {"socket.connect", "socket.sendto"}:
        end, address = arguments
        if end.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        if event == "socket.connect" and end.type & socket.SOCK_DGRAM:
            return  # sends nothing; it asks the system for the address that this machine would send from
        host = address[0]
    host = host.decode() if isinstance(host, bytes) else host
    if host in {None, "", "localhost", "::1", "0.0.0.0", "::", socket.gethostname()} or host.startswith("127."):  # noqa: S104
        return
    raise PermissionError(f"tests reach no other machine, but {event} was called for {host!r}")


sys.addaudithook(refuse_other_machines)
