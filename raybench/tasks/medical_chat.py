"""LLaVA-Med visual chat: 193 questions on 50 figures of PubMed Central papers (Li et al. 2023, arXiv 2306.00890).

Local layout: `llava_med_eval_qa50_qa.jsonl`, as microsoft/LLaVA-Med published it in
data/eval (the whole file at commit 821e1c7; later ones hold a broken pointer), data
CC BY-NC 4.0, and the figures in `images/`, which have to be fetched from PMC; some are
gone, and their rows fail unless images are left out. 143 questions are conversation,
50 detailed description; five domains of 37 chest X-ray, 38 MRI, 44 histology, 34 gross
and 40 CT questions. The reference is the answer of a text-only GPT-4 that saw the
caption and the text around the figure: the upper bound of the paper, not a radiologist.
Named `llava-med-qa50` in scores.

    tasks:
      - {task: medical_chat, data: ~/data/qa50}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from raybench.data.tables import column, read_rows
from raybench.interfaces import Task
from raybench.parsing.vqa import read_free_text
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._layout import FolderOptions, expand, find, image_path, text_of

__all__ = ["PLUGIN", "MedicalChat"]

#: A question belongs to the first of these that its `domain` marks true (the authors' order; gives their counts).
_DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
_RECIPE = (
    "take data/eval/llava_med_eval_qa50_qa.jsonl of microsoft/LLaVA-Med at commit 821e1c7 and the figures it names "
    "so that DIR holds the file and images/, and give `data: DIR` (--data DIR)"
)


class MedicalChat(Task):
    """LLaVA-Med qa50: 193 free questions on 50 biomedical figures, reference answers by text-only GPT-4."""

    Options = FolderOptions
    prompts: ClassVar = {
        "plain": "{question}",
        "assistant": "You help biomedical researchers to read figures.\n{question}",
        "concise": "{question}\nAnswer in at most three sentences.",
        "grounded": "{question}\nRely only on what the image shows, and say so where it does not tell.",
    }
    profiles: ClassVar = ("text-overlap",)
    headline: ClassVar = ("text-overlap", "rouge_l")
    group: ClassVar = "chat"
    generation: ClassVar = {"max_tokens": 512}
    baselines: ClassVar = ("majority",)

    def samples(self) -> Iterator[Sample]:
        """Yield the questions in file order.

        Raises:
            DataError: no data here, or a malformed file; says how to get it.
        """
        path = find(self.options.data, ("llava_med_eval_qa50_qa.jsonl",), "LLaVA-Med qa50", _RECIPE)
        images_dir = self.options.images_dir
        root = expand(images_dir) if images_dir else path.rsplit("/", 1)[0]
        folders = ("",) if images_dir else ("images", "qa50_images", "")
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, line {number}"
            caption, mentions = text_of(row.get("fig_caption")), _mentions(row.get("in_text_mention"))
            image = text_of(column(row, "image", where))
            yield Sample(
                id=text_of(column(row, "question_id", where)),
                dataset="llava-med-qa50",
                split="test",
                questions=(text_of(column(row, "text", where)).replace("<image>", "").strip(),),
                targets=(text_of(column(row, "gpt4_answer", where)),),
                images=(ImageRef(image_path(root, image, folders)),),
                cluster=text_of(row.get("pair_id")) or image,
                slices={"type": text_of(column(row, "type", where)), "domain": _domain(row.get("domain"))},
                context={
                    # What the text-only reference saw: `images: caption` shows it in place of the image.
                    "caption": "\n".join(part for part in (caption, mentions) if part),
                    "figure_caption": caption,
                    "mentions": mentions,
                    "figure": text_of(row.get("fig_label")),
                },
            )

    def expected_count(self) -> int:
        """Return 193."""
        return 193

    def parse(self, sample: Row, text: str) -> Answer:
        """Read free text."""
        return read_free_text(text)


def _domain(marks: Any) -> str:
    if not isinstance(marks, Mapping):
        return text_of(marks)
    return next((name for name in _DOMAINS if marks.get(name)), "")


def _mentions(cell: Any) -> str:
    """The sentences that mention the figure, one a line; the file holds them as {"tokens": text or words}."""
    lines = []
    for item in cell if isinstance(cell, list) else [cell]:
        tokens = item.get("tokens") if isinstance(item, Mapping) else item
        lines.append(" ".join(map(str, tokens)) if isinstance(tokens, list) else text_of(tokens))
    return "\n".join(line for line in lines if line)


PLUGIN = MedicalChat
