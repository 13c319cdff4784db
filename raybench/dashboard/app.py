"""The server's routes: one page, its files, and read-only JSON under `/api/`.

Every parameter is on its route's list and bound as a value; samples, images and runs are named by their stored ids,
never by a path. What goes wrong is one sentence that names no path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from raybench.dashboard.folder import Folder, View
from raybench.dashboard.policy import check_local
from raybench.dashboard.security import Access, Guard
from raybench.dashboard.words import without_paths
from raybench.dashboard.worker import Answer, Worker
from raybench.errors import DataError, PolicyError, RaybenchError, StoreError, UnreadableError, nearest
from raybench.schema import canonical_json

__all__ = ["HEAVY", "QUESTIONS", "Question", "answer", "create_app", "web_files"]

_MAX_VALUE = 1000
#: Questions that read single rows of large tables, so many at once: the rest of a page's pictures waits.
_OF_ROWS, _ROW_QUESTIONS = ("sample", "samples"), 2
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BOARD = ("task", "dataset", "split", "slice", "profile", "judge", "images", "reported")
_PLACE = ("task", "dataset", "split")


@dataclass(frozen=True)
class Question:
    """One JSON route.

    Attributes:
        answer: makes the document from the folder, its view and the parameters.
        allowed: parameters it may be asked with; `needed`: those it cannot do without.
    """

    answer: Answer
    allowed: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def _meta(folder: Folder, view: View, _: Mapping[str, str]) -> Any:
    from raybench.dashboard.meta import meta_document

    return meta_document(folder, view)


def _board(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.board import board_document

    return board_document(view, asked)


def _ranks(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.board import ranks_document

    return ranks_document(view, asked)


def _pareto(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.board import pareto_document

    return pareto_document(view, asked)


def _compare(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.pairs import compare_document

    return compare_document(view, asked)


def _samples(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.samples import samples_document

    return samples_document(view, asked)


def _sample(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.sample import sample_document

    return sample_document(view, asked)


def _runs(_: Folder, view: View, __: Mapping[str, str]) -> Any:
    from raybench.dashboard.runs import runs_document

    return runs_document(view)


def _run(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.runs import run_document

    return run_document(view, asked["run_id"])


def _judge(_: Folder, view: View, asked: Mapping[str, str]) -> Any:
    from raybench.dashboard.judge import judge_document

    return judge_document(view, asked["judge"])


_SAMPLES = (
    *_PLACE, "model", "config", "variant", "images", "outcome", "slice", "verdict", "judge", "disagree", "other",
    "correct", "q", "after", "limit",
)  # fmt: skip
#: Name under /api/ -> what it answers.
QUESTIONS: dict[str, Question] = {
    "meta": Question(_meta),
    "board": Question(_board, _BOARD),
    "ranks": Question(_ranks, _BOARD),
    "pareto": Question(_pareto, _PLACE, ("task",)),
    "compare": Question(_compare, ("a", "b", "task"), ("a", "b")),
    "samples": Question(_samples, _SAMPLES, _PLACE),
    "sample": Question(_sample, (*_PLACE, "sample"), (*_PLACE, "sample")),
    "runs": Question(_runs),
    "run": Question(_run, ("run_id",), ("run_id",)),
    "judge": Question(_judge, ("judge",), ("judge",)),
}
#: What computes for seconds: kept for as long as the folder does not change, and asked of a worker if there is one.
HEAVY = ("ranks", "compare")
_IMAGE = Question(lambda *_: None, (*_PLACE, "sample", "n", "slice", "window", "thumb"), (*_PLACE, "sample"))


def web_files() -> dict[str, bytes]:
    """Return the page's files by name: from the wheel, else from `dashboards/web` of a checkout."""
    packaged = files("raybench.dashboard").joinpath("web")
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "dashboards" / "web"
    if not folder.is_dir():
        raise StoreError("this installation lacks the dashboard's page (dashboards/web)")
    return {item.name: item.read_bytes() for item in folder.iterdir() if Path(item.name).suffix in _TYPES}


def answer(folder: Folder, view: View, name: str, asked: Mapping[str, str], worker: Worker | None = None) -> Any:
    """Return the document that answers a question; what takes seconds is made once for each state of the folder."""
    if name not in HEAVY:
        return QUESTIONS[name].answer(folder, view, asked)
    kept = {key: value for key, value in asked.items() if key != "reported"}

    def make() -> Any:
        return worker.ask(name, kept) if worker else QUESTIONS[name].answer(folder, view, kept)

    return view.once((name, canonical_json(kept)), make)


def create_app(folder: Folder, access: Access | None = None, worker: Worker | None = None) -> Starlette:
    """Return the ASGI application over a result folder.

    Args:
        worker: computes ranks and comparisons; without one they are computed here.

    Raises:
        StoreError: the page's files are missing.
    """
    access = access or Access()
    web, rows = web_files(), BoundedSemaphore(_ROW_QUESTIONS)

    def view() -> View:
        found = folder.view()
        check_local(found, access.is_local, "to other machines")
        return found

    def index(_: Request) -> Response:
        return _file(web["index.html"], "index.html", None)

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in web or name == "index.html":
            return _error(404, f"no file {name!r} here")
        return _file(web[name], name, request.headers.get("if-none-match"))

    def document(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in QUESTIONS:
            return _error(404, f"no question {name!r}{nearest(name, QUESTIONS)}; known: {', '.join(QUESTIONS)}")
        asked = _parameters(request, QUESTIONS[name])
        with rows if name in _OF_ROWS else nullcontext():
            return JSONResponse(_finite(answer(folder, view(), name, asked, worker)))

    def image(request: Request) -> Response:
        with rows:
            return _image(view(), _parameters(request, _IMAGE))

    routes = [
        Route("/", _threaded(index, folder)),
        Route("/web/{name}", _threaded(static, folder)),
        Route("/api/image", _threaded(image, folder)),
        Route("/api/{name}", _threaded(document, folder)),
    ]
    middleware = [Middleware(Guard, access=access), Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers={404: _missing, 405: _missing})


def _threaded(endpoint: Callable[[Request], Response], folder: Folder) -> Callable[[Request], Awaitable[Response]]:
    async def run(request: Request) -> Response:
        try:
            return await run_in_threadpool(endpoint, request)
        except RaybenchError as error:
            return _error(_status(error), without_paths(str(error).replace(folder.root, "this folder")))

    return run


def _status(error: RaybenchError) -> int:
    known = ((PolicyError, 403), (DataError, 404), (UnreadableError, 503))
    return next((status for kind, status in known if isinstance(error, kind)), 400)


def _parameters(request: Request, question: Question) -> dict[str, str]:
    """The request's parameters that hold something, each named once and on the route's list."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in question.allowed:
            allowed = ", ".join(question.allowed) or "none"
            raise StoreError(f"unknown parameter {name!r}{nearest(name, question.allowed)}; allowed: {allowed}")
        if name in found:
            raise StoreError(f"parameter {name!r} stands twice")
        if len(value) > _MAX_VALUE or "\0" in value:
            raise StoreError(f"{name}: at most {_MAX_VALUE} characters, none of them NUL")
        if value:
            found[name] = value
    missing = [name for name in question.needed if name not in found]
    if missing:
        raise StoreError(f"missing parameter {missing[0]!r}; needed: {', '.join(question.needed)}")
    return found


def _image(view: View, asked: Mapping[str, str]) -> Response:
    from raybench.dashboard.pictures import LIST_PX, picture, reference
    from raybench.dashboard.sample import image_refs

    references, n = image_refs(view, asked), asked.get("n", "0")
    if not n.isdigit() or int(n) >= len(references):
        raise DataError(f"no image {n}; the sample has {len(references)}, counted from 0")
    data, media_type = picture(reference(references[int(n)], asked), LIST_PX if asked.get("thumb") == "1" else 0)
    return Response(data, media_type=media_type, headers={"cache-control": "private, max-age=600"})


def _file(data: bytes, name: str, known: str | None) -> Response:
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if known == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[Path(name).suffix], headers=headers)


def _finite(value: Any) -> Any:
    """Return a document in which what JSON cannot carry (NaN, infinities) is null."""
    text = json.dumps(value, default=str)
    return json.loads(text, parse_constant=lambda _: None) if "NaN" in text or "Infinity" in text else value


def _error(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)


async def _missing(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return _error(status, "this server only reads" if status == 405 else "nothing here")
