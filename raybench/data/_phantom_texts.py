"""What is said about a phantom: caption, history, diagnosis, and questions with their answers.

All texts follow from the scene (and a few draws for the patient), by templates
short enough that a very small language model can learn them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raybench.data._phantom_pixels import Mark

__all__ = [
    "DIAGNOSES",
    "NOT_STATED",
    "NO_FINDING",
    "PHRASES",
    "REFUSAL",
    "UNANSWERABLE",
    "Patient",
    "Question",
    "caption",
    "draw_patient",
    "questions",
]

AnswerType = Literal["closed", "open", "unanswerable"]
Question = tuple[str, str, AnswerType]
Draw = Callable[[float, float], float]

#: What a model is trained to say where the image cannot tell, and what such a question is graded against.
REFUSAL = "I cannot answer that from the image."
NOT_STATED = "not stated in the image"
NO_FINDING = "none"

UNANSWERABLE = (
    "What is the patient's name?",
    "When was this image taken?",
    "In which hospital was this image taken?",
    "Who reported this image?",
    "What medicine does the patient take?",
    "What is the patient's blood pressure?",
)

#: A finding with its article, as questions name it.
PHRASES: Mapping[str, str] = {
    "opacity": "an opacity", "nodule": "a nodule", "effusion": "an effusion", "cardiomegaly": "an enlarged heart",
    "tumour": "a tumour", "haemorrhage": "a haemorrhage", "lesion": "a lesion",
}  # fmt: skip

#: Complaint -> youngest and oldest age it is drawn for.
_AGES: Mapping[str, tuple[int, int]] = {
    "cough and fever": (20, 85), "weight loss": (50, 85), "breathlessness": (45, 90), "no complaints": (20, 80),
    "optic neuritis": (19, 39), "high blood pressure": (65, 89), "a first seizure": (30, 70), "fever": (19, 75),
    "lung cancer": (50, 80), "a head injury": (19, 85),
}  # fmt: skip

#: Kind -> leading finding -> complaint -> diagnosis; the same finding means different things in different patients.
_MEANINGS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "cxr": {
        "cardiomegaly": {"breathlessness": "heart failure"},
        "opacity": {"cough and fever": "pneumonia", "weight loss": "lung tumour"},
        "nodule": {"weight loss": "lung tumour", "no complaints": "granuloma"},
        "effusion": {"breathlessness": "heart failure", "cough and fever": "pleurisy"},
    },
    "mri": {
        "tumour": {"a first seizure": "glioma", "fever": "abscess", "lung cancer": "metastasis"},
        "haemorrhage": {"high blood pressure": "hypertensive haemorrhage", "a head injury": "traumatic haemorrhage"},
        "lesion": {"optic neuritis": "multiple sclerosis", "high blood pressure": "small vessel disease"},
    },
}

_NORMAL = "normal"


def _listed(kind: str) -> tuple[str, ...]:
    found = (diagnosis for by_complaint in _MEANINGS[kind].values() for diagnosis in by_complaint.values())
    return (_NORMAL, *dict.fromkeys(found))


#: Kind -> the closed list of diagnoses, "normal" first.
DIAGNOSES: Mapping[str, tuple[str, ...]] = {kind: _listed(kind) for kind in _MEANINGS}


@dataclass(frozen=True)
class Patient:
    """Who the phantom is: age in years, sex ("woman" or "man"), complaint, history text and diagnosis."""

    age: int
    sex: str
    complaint: str
    history: str
    diagnosis: str

    @property
    def age_group(self) -> str:
        """Return "under 40", "40 to 64" or "65 and over"."""
        return "under 40" if self.age < 40 else "40 to 64" if self.age < 65 else "65 and over"


def draw_patient(kind: str, marks: Sequence[Mark], uniform: Draw) -> Patient:
    """Draw a patient whom the findings fit; normal images come with every complaint."""
    meanings = _MEANINGS[kind]
    present = {mark.name for mark in marks}
    leading = next((name for name in meanings if name in present), None)
    if leading is None:
        options = dict.fromkeys((each for by in meanings.values() for each in by), _NORMAL)
    else:
        options = dict(meanings[leading])
    complaint = list(options)[int(uniform(0, len(options)))]
    youngest, oldest = _AGES[complaint]
    age = youngest + int(uniform(0, oldest - youngest + 1))
    sex = "woman" if uniform(0, 1) < 0.5 else "man"
    article = "An" if str(age).startswith("8") else "A"
    history = f"{article} {age}-year-old {sex} with {complaint}."
    return Patient(age, sex, complaint, history, options[complaint])


def caption(kind: str, marks: Sequence[Mark], contrast: str) -> str:
    """Return one sentence that names every finding with its side and zone."""
    if not marks:
        return "Normal chest X-ray." if kind == "cxr" else f"Normal {contrast} slice."
    if kind == "mri":
        return f"{contrast} slice with {_mri_phrase(marks)}."
    phrases = [_cxr_phrase(mark) for mark in marks]
    text = phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]
    return text[0].upper() + text[1:] + "."


def _cxr_phrase(mark: Mark) -> str:
    if mark.name == "cardiomegaly":
        return "enlarged heart"
    return f"{mark.side} {mark.name}" if not mark.zone else f"{mark.name} in the {mark.side} {mark.zone} zone"


def _mri_phrase(marks: Sequence[Mark]) -> str:
    if len(marks) == 1:
        mark = marks[0]
        return f"{PHRASES[mark.name]} in the {mark.side} {mark.zone} region"
    counts = [(sum(mark.side == side for mark in marks), side) for side in ("right", "left")]
    sides = " and ".join(f"{count} {side}" for count, side in counts if count)
    return f"{len(marks)} {marks[0].name}s, {sides}"


def questions(kind: str, marks: Sequence[Mark], contrast: str, uniform: Draw) -> tuple[Question, ...]:
    """Return the questions that this image answers, closed ones first, and two that no image answers."""
    found = dict.fromkeys(mark.name for mark in marks)
    asked: list[Question] = [("Is this image normal?", _yes(not marks), "closed")]
    asked += [(f"Is there {PHRASES[name]}?", _yes(name in found), "closed") for name in _MEANINGS[kind]]
    for name in found:
        sides = {mark.side for mark in marks if mark.name == name and mark.side}
        if sides:
            asked += [
                (f"Is there {PHRASES[name]} on the {side}?", _yes(side in sides), "closed")
                for side in ("right", "left")
            ]
    if kind == "mri":
        asked += [(f"Is this a {name} image?", _yes(name == contrast), "closed") for name in ("T1", "T2", "FLAIR")]
        asked.append(("Which contrast is this?", contrast, "open"))
    asked.append(("How many findings are there?", str(len(marks)), "open"))
    if len(found) < 2:
        asked.append(("What finding is seen?", next(iter(found), NO_FINDING), "open"))
    for name in found:
        asked += _places(name, [mark for mark in marks if mark.name == name])
    first = int(uniform(0, len(UNANSWERABLE)))
    second = (first + 1 + int(uniform(0, len(UNANSWERABLE) - 1))) % len(UNANSWERABLE)
    return (*asked, *((UNANSWERABLE[number], NOT_STATED, "unanswerable") for number in (first, second)))


def _places(name: str, marks: Sequence[Mark]) -> list[Question]:
    """Side and zone of a finding, asked only where there is one answer."""
    sides, zones = {mark.side for mark in marks}, {mark.zone for mark in marks}
    asked: list[Question] = []
    if "" not in sides:
        side = next(iter(sides)) if len(sides) == 1 else "both"
        asked.append(
            (f"On which side is the {name}?" if len(marks) == 1 else f"On which side are the {name}s?", side, "open")
        )
    if "" not in zones and len(marks) == 1:
        word = "region" if name in _MEANINGS["mri"] else "zone"
        asked.append((f"In which {word} is the {name}?", marks[0].zone, "open"))
    return asked


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
