"""Profile `medevalkit-9b12e3b`: MedEvalKit's rules without a judge model, at the commit in the name, errors included.

Source: alibaba-damo-academy/MedEvalKit@9b12e3b utils/, from a description:

- A row is closed if its answer *is* yes or no (VQA-RAD: 251, not 272), on SLAKE
  if its answer type says so. Yes/no wants exactly one of the substrings "yes"
  and "no", so "Yes, a nodule" is wrong; SLAKE's "Yes" and every Chinese answer
  want equality. Open wants equality. Rows with choices: letter, choice text,
  else the choice that difflib finds most similar, so a blank is choice A.
- Its token F1 hands back (f1, precision, recall) and is unpacked as (precision,
  recall, f1): `open_precision` here is the true F1, `open_recall` the true
  precision, `open_f1` the true recall, as it prints them.
- An open row with nothing to compare (a blank, "...") ends its run. Such a row
  counts as asked and adds nothing; `peer_crashes` says how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from raybench.interfaces import Array, MetricDef, Profile, Statistics
from raybench.metrics._vqa import METRICS, is_closed, unigram_bleu
from raybench.schema import Row

__all__ = ["PLUGIN", "MedEvalKit"]

_MARKERS = (
    "**answer**:", "**answer**", "*answer*:", "**answer:**", "answer is", "answer:", "答案:", "final answer",
    "final answer is",
)  # fmt: skip
_BOX = "\\boxed{"
_TAGS = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def _crashes(statistics: Statistics, weights: Array) -> Array:
    return weights @ statistics["crashed"]


class MedEvalKit(Profile):
    """MedEvalKit's rule-based scorer for yes/no, closed, open and multiple-choice questions."""

    name = "medevalkit-9b12e3b"
    metrics = (
        *METRICS,
        MetricDef("open_exact", over="open", hit="hit"),
        *(
            MetricDef(f"open_{name}", over="open", hit=name, binary=False)
            for name in ("precision", "recall", "f1", "bleu_1")
        ),
        MetricDef(
            "peer_crashes",
            over="all",
            reduce=_crashes,
            additive=True,
            binary=False,
            unit="rows",
            higher_is_better=False,
        ),
    )

    def statistics(self, record: Row) -> Mapping[str, float]:
        said, target = _answer_part(str(record["text"] or "")), str(record["target"])
        choices = [str(choice) for choice in record["choices"] or ()]
        if len(choices) > 1 and not _yes_or_no(target):
            return _columns("choice", _picks(said, target, choices))
        slake = _is_slake(record)
        if not slake:
            said, target = said.lower().strip(), target.lower().strip()
        if is_closed(record) if slake else _yes_or_no(target):
            return _columns("closed", _says(said, target) if _yes_or_no(target) else _bare(said) == target.lower())
        return _open_statistics(_after_marker(said), target.lower())


def _is_slake(record: Row) -> bool:
    return "slake" in (str(record.get("task") or ""), str(record.get("dataset") or "").replace("_", "-").split("-")[0])


def _yes_or_no(target: str) -> bool:
    return target in ("yes", "no")


def _columns(kind: str, hit: bool, crashed: bool = False) -> dict[str, float]:
    columns = {"all": 1.0, "closed": float(kind == "closed"), "open": float(kind == "open"), "hit": float(hit)}
    return {**columns, "precision": 0.0, "recall": 0.0, "f1": 0.0, "bleu_1": 0.0, "crashed": float(crashed)}


def _open_statistics(said: str, target: str) -> dict[str, float]:
    words, wanted = set(said.lower().split()), set(target.split())
    # Its ROUGE needs a sentence, its F1 a word, on both sides.
    if not (words and wanted and said.strip(".") and target.strip(".")):
        return _columns("open", hit=False, crashed=True)
    columns = _columns("open", said == target)
    shared = len(words & wanted)
    columns["bleu_1"] = unigram_bleu(_tokens(said), _tokens(target))
    if shared:
        precision, recall = shared / len(words), shared / len(wanted)
        f1 = 2 * precision * recall / (precision + recall)
        columns |= {"precision": f1, "recall": precision, "f1": recall}  # as it prints them
    return columns


def _tokens(text: str) -> list[str]:
    return text.lower().replace(".", " .").split(" ")


def _says(said: str, target: str) -> bool:
    bare = _bare(said)
    return ("yes" in bare) != ("no" in bare) and target in bare


def _bare(said: str) -> str:
    return _after_marker(said).replace("\n", "").replace(".", "")


def _picks(said: str, target: str, choices: Sequence[str]) -> bool:
    """Say whether a response picks the target, which is a letter or the text of a choice."""
    letters = [chr(ord("a") + i) for i in range(len(choices))]
    texts = [choice.lower() for choice in choices]
    said, target = said.lower(), target.strip().lower()
    paragraphs = said.split("\n\n")
    for alone in (paragraphs[0], paragraphs[-1].split(".")[0]):
        if alone in letters:
            said = alone
            break
    said = _after_marker(said).strip().lower().replace("\n", "")
    picked = said.split(".")[0].split(":")[-1]
    if picked == target:
        return True
    if picked in letters:
        return texts[letters.index(picked)] == target
    if picked in texts:
        return target in letters and picked == texts[letters.index(target)]
    likeness = [SequenceMatcher(None, text, said).ratio() for text in texts]
    nearest = likeness.index(max(likeness))
    return target in (letters[nearest], texts[nearest])


def _answer_part(text: str) -> str:
    """Return what is in the last \\boxed{}, else in <answer> tags, else all of the text."""
    boxed = _boxed(text)
    return boxed if boxed != "None" else _tagged(text)


def _after_marker(text: str) -> str:
    """Return lower-cased text after the last of each "answer is"-like marker in turn.

    A text that says "boxed" without a box becomes "None", as with the original.
    """
    text = text.lower()
    text = _boxed(text) if "boxed" in text else _tagged(text)
    for marker in _MARKERS:
        text = text.rsplit(marker, 1)[-1]
    return text


def _boxed(text: str) -> str:
    """Return the stripped content of the last \\boxed{}, to its matching brace, or "None"."""
    _, opened, content = text.rpartition(_BOX)
    depth = 1
    for i, character in enumerate(content if opened else ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if not depth:
            return content[:i].strip()
    return "None"


def _tagged(text: str) -> str:
    """Return what stands in <answer> tags, several joined by a space; all of the text if that is nothing."""
    return " ".join(_TAGS.findall(text)).strip() or text


PLUGIN = MedEvalKit
