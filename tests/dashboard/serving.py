"""The real server in this process, on a free port of this machine.

with serving(folder) as url:
    page.goto(url)
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from raybench.dashboard.app import create_app
from raybench.dashboard.folder import Folder

__all__ = ["serving"]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a result folder until the block ends; gives "http://127.0.0.1:<port>"."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = uvicorn.Server(
        uvicorn.Config(create_app(Folder(str(folder))), log_level="error", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listening.close()
