"""The least client that asks N chat completions, W at a time: what a transport's pipeline is compared with.

    python benchmarks/_bare_client.py aiohttp http://127.0.0.1:8000/v1 20000 64 [IMAGE]

With an image file, each request carries it, read and encoded anew, as any client of a folder of images must.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Ask = Callable[[dict[str, Any]], Awaitable[str]]


def body(number: int, image: Path | None) -> dict[str, Any]:
    """Return one request, with the fields that raybench sends."""
    content: Any = f"Is number {number} shown?"
    if image is not None:
        url = "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": content}]
    messages = [{"role": "user", "content": content}]
    return {"model": "fake", "messages": messages, "temperature": 0.0, "top_p": 1.0, "max_tokens": 256, "seed": 0}


async def drain(ask: Ask, rows: int, window: int, image: Path | None) -> None:
    """Ask every row with `window` workers that take the next one as they are free."""
    numbers = iter(range(rows))

    async def work() -> None:
        for number in numbers:
            assert await ask(body(number, image)) == "Yes"

    await asyncio.gather(*(work() for _ in range(window)))


async def with_aiohttp(url: str, rows: int, window: int, image: Path | None) -> None:
    """Use aiohttp as its documentation shows."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(request: dict[str, Any]) -> str:
            async with session.post(f"{url}/chat/completions", json=request) as reply:
                return str((await reply.json())["choices"][0]["message"]["content"])

        await drain(ask, rows, window, image)


async def with_client(url: str, rows: int, window: int, image: Path | None) -> None:
    """Use the openai package as its documentation shows."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(request: dict[str, Any]) -> str:
            reply = await client.chat.completions.create(**request)
            return str(reply.choices[0].message.content)

        await drain(ask, rows, window, image)


if __name__ == "__main__":
    kind, base_url, count, width, *rest = sys.argv[1:]
    run = {"aiohttp": with_aiohttp, "client": with_client}[kind]
    asyncio.run(run(base_url, int(count), int(width), Path(rest[0]) if rest else None))
