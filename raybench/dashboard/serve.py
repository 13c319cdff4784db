"""Start the server: check who may come, take the port, say the address, work until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import replace

from raybench.dashboard.app import HEAVY, QUESTIONS, create_app
from raybench.dashboard.folder import Folder
from raybench.dashboard.policy import check_local
from raybench.dashboard.security import Access
from raybench.dashboard.worker import Worker
from raybench.errors import RaybenchError, SpecError

__all__ = ["PORT", "serve"]

PORT = 8600


def serve(root: str, port: int, access: Access) -> None:
    """Serve a result folder until interrupted.

    Args:
        port: 0 takes a free one.
        access: a token of "auto" is replaced by one made now.

    Raises:
        StoreError: no such folder.
        PolicyError: it holds restricted data and others could reach it.
        SpecError: the address is taken or is not this machine's.
    """
    import uvicorn

    if access.token == AUTO:
        access = replace(access, token=secrets.token_urlsafe(24))
    folder = Folder(root)
    if not access.is_local:
        check_local(folder.view(), False, f"to others at {access.host}")
    listening = _listen(access.host, port)
    worker = Worker(root, {name: QUESTIONS[name].answer for name in HEAVY})
    settings = uvicorn.Config(
        create_app(folder, access, worker), log_level="warning", access_log=False, server_header=False, lifespan="off",
        ws="none", timeout_graceful_shutdown=1,
    )  # fmt: skip
    threading.Thread(target=_warm, args=(folder,), daemon=True).start()
    _announce(root, access, listening.getsockname()[1])
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[listening])
    finally:
        worker.close()


#: The token that is made anew.
AUTO = "auto-token-please"


def _listen(host: str, port: int) -> socket.socket:
    name = host.strip("[]")
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((name, port))
        listening.listen(128)  # from here on nobody is refused: who comes early waits
    except OSError as error:
        hint = "; --port 0 takes a free one" if error.errno is not None and port else ""
        raise SpecError(f"cannot listen on {host}:{port}: {error.strerror or error}{hint}") from error
    return listening


def _announce(root: str, access: Access, port: int) -> None:
    host = f"[{access.host}]" if ":" in access.host else access.host
    shown = f"http://{host}:{port}/"
    if access.token:
        shown += f"?token={access.token}"
    sys.stderr.write(f"raybench dashboard of {root}: {shown} (Ctrl-C ends it)\n")
    if access.insecure and not access.is_local:
        sys.stderr.write("insecure: everyone who can reach this machine can read these results\n")
    elif access.token:
        sys.stderr.write("whoever has this address can read these results, over a connection that is not encrypted\n")
    sys.stderr.flush()


def _warm(folder: Folder) -> None:
    """Read what the first page asks for while the browser starts; what is wrong is told to the page."""
    with suppress(RaybenchError):
        view = folder.view()
        for name in ("meta", "board"):
            QUESTIONS[name].answer(folder, view, {})
