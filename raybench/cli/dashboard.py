"""The verb `dashboard`: the results page, served or exported."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

__all__ = ["COMMANDS", "dashboard"]


def dashboard(
    folder: Annotated[str, typer.Argument(help="Result folder: a path, or an object store's URL.", metavar="DIR",
                                          show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8600,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    token: Annotated[str, typer.Option(help="What visitors must know, 16 characters or more; auto makes one.")] = "",
    insecure: Annotated[bool, typer.Option("--insecure", help="Let everyone who reaches --host read it.")] = False,
    export: Annotated[str | None, typer.Option(help="Write the pages as files here instead.", metavar="OUT")] = None,
) -> None:  # fmt: skip
    """Show results as a page: leaderboard, comparisons, samples with images and boxes, runs, judges."""
    from raybench.errors import SpecError

    if not all(find_spec(name) for name in ("starlette", "uvicorn")):
        raise SpecError("the dashboard needs the extra: pip install 'raybench[dashboard]'")
    if export is not None:
        from raybench.dashboard.export import export as export_pages

        done = export_pages(folder, export)
        for note in done.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(f"{done.files} files; look at them with: python -m http.server --directory {export}", err=True)
        return
    from raybench.dashboard.security import Access
    from raybench.dashboard.serve import AUTO, serve

    serve(folder, port, Access(host, AUTO if token == "auto" else token, insecure))


COMMANDS = (dashboard,)
