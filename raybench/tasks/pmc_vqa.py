"""PMC-VQA: multiple choice about figures of PubMed Central papers (Zhang et al. 2023, arXiv 2305.10415).

Local layout, as published (hub id RadGenome/PMC-VQA; figures of the PMC open
access subset, each under its paper's licence): `test_2.csv` (33,430 questions on
non-compound figures, the split that MedEvalKit and lmms-eval use), `test_clean.csv`
(2,000 checked by hand), `test.csv`, `train.csv` and `train_2.csv`, beside the
folders of `images.zip` (18.9 GB) and `images_2.zip` (2.2 GB), which may be left
packed. Columns Figure_path, Caption, Question, Choice A to D, and the answer as
letter (`Answer`, version 2) or as text and letter (`Answer`, `Answer_label`).
Named `pmc_vqa` in scores, the file as split. Without `data` the files come from
the hub.

    tasks:
      - {task: pmc_vqa, data: ~/data/pmc-vqa}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from raybench.data.tables import column
from raybench.errors import DataError
from raybench.interfaces import Task
from raybench.parsing.choice import read_choice
from raybench.schema import Answer, ImageRef, Row, Sample
from raybench.tasks._choices import PROMPTS, chosen, letters, unlettered, with_options
from raybench.tasks._hub import snapshot
from raybench.tasks._layout import FolderOptions, csv_rows, exists, expand, find, image_path, pick, text_of

__all__ = ["PLUGIN", "PmcVqa", "PmcVqaOptions"]

_RECIPE = (
    "download RadGenome/PMC-VQA from the hub so that DIR holds test_2.csv and images_2/ (or images_2.zip) and give "
    "`data: DIR` (--data DIR)"
)
_COUNTS = {"test_2": 33430, "test_clean": 2000}
_FOLDERS = {
    "2": ("images_2", "images_2/figures", "figures", "images", "images_2.zip", ""),
    "1": ("images", "images/figures", "figures", "images.zip", ""),
}


class PmcVqaOptions(FolderOptions):
    """Where PMC-VQA is.

    Attributes:
        data: folder with the CSV files and the figures, or one CSV; None takes them from the hub.
        hub: hub id, or a local folder in its layout.
        revision: hub revision.
        split: the file, without .csv.
        probabilities: force a letter on backends that can, so that the letters' probabilities are known.
    """

    hub: str = "RadGenome/PMC-VQA"
    revision: str | None = None
    split: Literal["test_2", "test_clean", "test", "train", "train_2"] = "test_2"
    probabilities: bool = False


class PmcVqa(Task):
    """PMC-VQA: multiple choice with four options about figures of biomedical papers, 33,430 test questions."""

    Options = PmcVqaOptions
    prompts: ClassVar = PROMPTS
    profiles: ClassVar = ("raybench-strict", "medevalkit-9b12e3b")
    headline: ClassVar = ("raybench-strict", "overall_accuracy")
    group: ClassVar = "choice"

    def samples(self) -> Iterator[Sample]:
        """Yield the split's questions in file order.

        Raises:
            DataError: no data here and no hub, or a malformed file; says how to get the data.
        """
        return self._read(self.options.split)

    def expected_count(self) -> int | None:
        """Return the published number of questions; None for splits whose number we do not know."""
        return _COUNTS.get(self.options.split)

    def examples(self, n: int) -> list[Sample]:
        """Return n questions of train_2.csv, or of train.csv where version 1 is asked."""
        return pick(self._read("train_2" if self.options.split.endswith("_2") else "train"), n)

    def _read(self, split: str) -> Iterator[Sample]:
        options = self.options
        version = "2" if split.endswith("_2") else "1"
        packed = "images_2.zip" if version == "2" else "images.zip"
        folder = options.data or snapshot(options.hub, options.revision, [f"{split}.csv", packed], "PMC-VQA", _RECIPE)
        path = find(folder, [f"{split}.csv"], "PMC-VQA", _RECIPE)
        if split != options.split and not path.endswith(f"{split}.csv"):
            raise DataError(f"shots: {path} is one file; give the folder that holds {split}.csv too")
        root = expand(options.images_dir) if options.images_dir else path.rsplit("/", 1)[0]
        rows = list(csv_rows(path))
        ids = [text_of(row.get("index")) for row in rows]
        named = "" not in ids and len(set(ids)) == len(ids)
        for number, row in enumerate(rows):
            where = f"{path}, row {number + 1}"
            choices, target = _choices(row, where)
            figure = text_of(column(row, "Figure_path", where))
            folders = ("",) if options.images_dir and exists(root) else _FOLDERS[version]
            yield Sample(
                id=ids[number] if named else f"{split}-{number}",
                dataset="pmc_vqa",
                split=split,
                questions=(text_of(column(row, "Question", where)),),
                targets=(target,),
                images=(ImageRef(image_path(root, figure, folders)),),
                choices=choices,
                cluster=figure,
                slices={"answer_type": "closed", "right_letter": letters(choices)[choices.index(target)]},
                context={"caption": text_of(row.get("Caption"))},
            )

    def messages(self, sample: Row, variant: str) -> list[Row]:
        """Ask with the options lettered, one a line."""
        return super().messages(with_options(sample), variant)

    def labels(self, sample: Row) -> list[str] | None:
        """Return the letters where `probabilities` is set."""
        return letters(sample["choices"]) if self.options.probabilities else None

    def parse(self, sample: Row, text: str) -> Answer:
        """Read a letter or the text of a choice."""
        return read_choice(text, sample["choices"])


def _choices(row: Row, where: str) -> tuple[tuple[str, ...], str]:
    """Return (choices without letters, the right one); options that read alike are told apart by their letter."""
    cells = [unlettered(text_of(column(row, f"Choice {letter}", where)), letter) for letter in "ABCD"]
    folded = [cell.casefold() for cell in cells]
    choices = tuple(
        cell if cell and folded.count(cell.casefold()) == 1 else f"{cell} ({letter})".strip()
        for cell, letter in zip(cells, "ABCD", strict=True)
    )
    label = text_of(row.get("Answer_label") or row.get("Anwser_label"))
    answer = label or text_of(column(row, "Anwser" if "Anwser" in row else "Answer", where))
    return choices, chosen(answer, choices, where)


PLUGIN = PmcVqa
