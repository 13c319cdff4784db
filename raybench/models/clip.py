"""CLIP-like models (CLIP, PubMedCLIP, SigLIP, BiomedCLIP in transformers' layout): zero-shot choice among candidates.

Each candidate answer is written into a template and compared with the image;
the best one is the answer, with the log softmax of the similarities as its label
log probabilities. Candidates are, in this order: the sample's own choices; yes
and no for a question that asks for one of them; and the closed list given in
`candidates`, for open questions.

    models:
      - {name: pubmed-clip, backend: clip, model: flaviagiammarino/pubmed-clip-vit-base-patch32,
         template: "{question} {answer}", candidates: answers.txt}

A row without candidates, or without exactly one image, is a failure of that row:
the model has no word to say there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from raybench.errors import DataError, ModelError, one_line
from raybench.interfaces import Backend, Capabilities, Options
from raybench.models._hf_identity import HuggingFaceOptions, describe, is_local, local_folder
from raybench.parsing.vqa import question_form
from raybench.schema import Failure, Response, Result, Row, digest

__all__ = ["PLUGIN", "Clip", "ClipOptions", "read_candidates"]


class ClipOptions(Options):
    """Settings of the `clip` backend.

    Attributes:
        model: hub id, local folder, or `raybench://NAME`.
        revision: branch, tag or commit of a hub id.
        template: text of a candidate, over {question} and {answer}.
        candidates: answers to open questions: a list, or a file (.txt one a line; .json a list,
            or an object of lists).
        dtype: "auto" is the checkpoint's own.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        batch_size: images encoded at once.
    """

    model: str
    revision: str | None = None
    template: str = "{answer}"
    candidates: str | tuple[str, ...] = ()
    dtype: str = Field("auto", pattern="^(auto|float32|bfloat16|float16)$")
    device: str = "auto"
    batch_size: int = Field(16, ge=1)


def read_candidates(source: str | Sequence[str]) -> tuple[str, ...]:
    """Return the distinct candidate answers of a list or a file, in order.

    Raises:
        DataError: no such file, or one that holds no texts.
    """
    if not isinstance(source, str):
        return tuple(dict.fromkeys(source))
    path = Path(source).expanduser()
    try:
        text = path.read_text("utf-8")
        found = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"candidates: cannot read {source}: {one_line(error, 120)}") from error
    lists = list(found.values()) if isinstance(found, dict) else [found]
    texts = [str(item).strip() for each in lists if isinstance(each, list) for item in each]
    kept = tuple(dict.fromkeys(text for text in texts if text))
    if not kept:
        raise DataError(f"candidates: {source} holds no texts; one a line, or a JSON list")
    return kept


class Clip(Backend):
    """Zero-shot classification by any transformers model with `get_image_features` and `get_text_features`."""

    Options = ClipOptions
    version: ClassVar[str] = "1"
    capabilities: ClassVar = Capabilities(images=True, multi_turn=False, label_logprobs=True, pixels=True)

    @classmethod
    def identity(cls, options: ClipOptions) -> Row:
        """Return weights, dtype, template and the digest of the candidates.

        Raises:
            ModelError: the model does not exist or cannot be reached.
        """
        found = describe(HuggingFaceOptions(model=options.model, revision=options.revision))
        kept: Row = {name: found[name] for name in ("model", "revision", "pinned") if name in found}
        candidates = digest(list(read_candidates(options.candidates)), 16)
        return {**kept, "dtype": options.dtype, "template": options.template, "candidates": candidates}

    @property
    def window(self) -> int:
        """Rows worked on at once."""
        return int(self.options.batch_size)

    def __init__(self, options: ClipOptions) -> None:
        self.options = options
        self._candidates = read_candidates(options.candidates)
        try:
            self._load()
        except ImportError as error:
            raise ModelError(f"the clip backend needs transformers and torch: {one_line(error, 120)}") from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise ModelError(f"model {options.model!r} cannot be loaded: {one_line(error, 300)}") from error
        self._texts: dict[str, Any] = {}

    def _load(self) -> None:
        import torch
        import transformers

        name = str(local_folder(self.options.model)) if is_local(self.options.model) else self.options.model
        source = {"pretrained_model_name_or_path": name, "revision": self.options.revision}
        wanted = self.options.device
        device = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
        model: Any = transformers.AutoModel.from_pretrained(**source, dtype=self.options.dtype, use_safetensors=True)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise ModelError(f"model {self.options.model!r} is a {type(model).__name__}, not a CLIP-like model")
        self._model = model.to(device).eval()
        self._processor: Any = transformers.AutoProcessor.from_pretrained(**source)
        self._torch, self._device = torch, device
        # SigLIP was trained on texts padded to its full length, CLIP on the longest of a batch.
        self._padding = "max_length" if "siglip" in str(model.config.model_type) else True

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Choose an answer for each row."""
        asked = {row["id"]: self._answers(row) for row in rows}
        ready = [row for row in rows if isinstance(asked[row["id"]], tuple)]
        for row in rows:
            found = asked[row["id"]]
            if isinstance(found, Failure):
                yield row["id"], found
        if not ready:
            return
        began = time.perf_counter()
        images = self._image_features(ready)
        for row, image in zip(ready, images, strict=True):
            answers = asked[row["id"]]
            assert isinstance(answers, tuple)
            logprobs = self._logprobs(image, self._text_features(row["question"], answers))
            scored = dict(zip(answers, logprobs, strict=True))
            best = max(scored, key=lambda answer: scored[answer])
            yield row["id"], Response(
                best, finish_reason="label", seconds=time.perf_counter() - began, mean_logprob=scored[best],
                label_logprobs=scored if len(scored) <= 64 else {best: scored[best]},
            )  # fmt: skip
            await asyncio.sleep(0)

    def _answers(self, row: Row) -> tuple[str, ...] | Failure:
        if len(row["images"]) != 1:
            return Failure("images", f"a CLIP model compares one image, not {len(row['images'])}")
        if row["choices"]:
            return tuple(dict.fromkeys(row["choices"]))
        if question_form(row["question"]) == "yes_no":
            return ("yes", "no")
        if not self._candidates:
            return Failure("candidates", "an open question needs `candidates`: the closed list of answers")
        return self._candidates

    def _image_features(self, rows: Sequence[Row]) -> Any:
        from PIL import Image

        sizes = [((image := row["images"][0])["width_px"], image["height_px"]) for row in rows]
        pictures = [
            Image.frombytes("RGB", size, row["images"][0]["bytes"]) for row, size in zip(rows, sizes, strict=True)
        ]
        batch = self._processor(images=pictures, return_tensors="pt").to(self._device)
        with self._torch.inference_mode():
            return self._unit(self._model.get_image_features(**batch))

    def _text_features(self, question: str, answers: tuple[str, ...]) -> Any:
        """Embed candidates; those that do not depend on the question are embedded once."""
        texts = [self.options.template.replace("{question}", question).replace("{answer}", a) for a in answers]
        key = digest(texts, 32)
        if key not in self._texts:
            if len(self._texts) >= 256:
                self._texts.pop(next(iter(self._texts)))
            batch = self._processor(text=texts, padding=self._padding, truncation=True, return_tensors="pt")
            with self._torch.inference_mode():
                self._texts[key] = self._unit(self._model.get_text_features(**batch.to(self._device)))
        return self._texts[key]

    def _unit(self, features: Any) -> Any:
        """Return embeddings of length 1; newer transformers wrap them in an output."""
        vectors = getattr(features, "pooler_output", features)
        return vectors / vectors.norm(dim=-1, keepdim=True)

    def _logprobs(self, image: Any, texts: Any) -> list[float]:
        with self._torch.inference_mode():
            scores = (texts @ image).float() * self._model.logit_scale.exp().float()
            return [float(value) for value in scores.log_softmax(dim=-1)]

    def versions(self) -> Mapping[str, str]:
        """Return the versions of torch and transformers."""
        import torch
        import transformers

        return {"torch": str(torch.__version__), "transformers": str(transformers.__version__)}


PLUGIN = Clip
