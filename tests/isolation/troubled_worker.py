"""A worker whose requests say what shall go wrong: what RDKit may do on molecules nobody can foresee."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from atomweave.isolation.worker import serve


class Troubled:
    """Requests are words; `options` may name a folder in which the worker leaves its process id."""

    def prepare(self, options):
        if "folder" in options:
            (Path(options["folder"]) / str(os.getpid())).touch()

    def answer(self, request, options):
        match request:
            case b"hang":
                time.sleep(1000)
            case b"die":
                os.abort()
            case b"leave":
                sys.exit(3)
            case b"eat":
                return b"x" * (4 << 30)
            case b"raise":
                raise ValueError("nothing to be done")
            case b"read":
                return Path(options["file"]).read_bytes()
            case b"print":
                print("what a library says does not mix with the answers")
                os.write(1, b"nor what C code says\n")
        return options.get("greeting", "").encode() + request.upper()


if __name__ == "__main__":
    serve(Troubled(), json.loads(sys.argv[2]), int(sys.argv[3]))
