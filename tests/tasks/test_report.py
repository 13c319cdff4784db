"""Reports of your own: references, questions and prompts."""

from __future__ import annotations

import pytest

from raybench.errors import DataError
from raybench.tasks.report import Report

TABLE = """id,image,findings,patient
1,"[""pa.png"", ""lat.png""]",No focal consolidation.,p1
2,b.png,心影增大。,p2
"""


def read(folder, text=TABLE, **options):
    path = folder / "reports.csv"
    path.write_text(text, encoding="utf-8")
    options = {"columns": {"answer": "findings"}, "cluster": "patient", **options}
    return list(Report(Report.Options(data=str(path), **options)).samples())


def test_references_images_and_the_default_question(tmp_path):
    first, second = read(tmp_path)
    assert (first.targets, second.targets) == (("No focal consolidation.",), ("心影增大。",))
    assert len(first.images) == 2
    assert first.questions == ("Write a report on this image.",)
    assert (first.cluster, first.dataset) == ("p1", "reports")


def test_a_question_of_the_table_comes_first(tmp_path):
    text = "question,answer\nDescribe the heart.,Normal size.\n,Clear.\n"
    found = read(tmp_path, text, columns={}, cluster=None, question="Describe the lungs.")
    assert [sample.questions[0] for sample in found] == ["Describe the heart.", "Describe the lungs."]


def test_a_blank_reference_is_a_mistake(tmp_path):
    with pytest.raises(DataError, match="row 1: blank answer"):
        read(tmp_path, "answer\n \n", columns={}, cluster=None)


def test_answers_are_whole_texts_and_refusals_are_told(tmp_path):
    task = Report(Report.Options(data="unread.csv"))
    answer = task.parse({}, "The lungs are clear. Cannot exclude a small effusion.")
    assert (answer.outcome, answer.value) == ("answered", "The lungs are clear. Cannot exclude a small effusion.")
    assert task.parse({}, "I cannot help with that.").outcome == "refused"
