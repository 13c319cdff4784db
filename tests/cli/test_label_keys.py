"""The keyboard loop of `raybench label` on a pseudo-terminal, as a rater meets it."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from typer.testing import CliRunner

from raybench.cli import app, judge_text
from raybench.engine.labelling import Labelling
from raybench.scoring import score_store
from raybench.store import Store
from tests.results import fill, judge, questions

TEXTS = ["Yes, a mass", "perhaps", "no", "nothing of the kind"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(str(tmp_path / "out"))
    samples = questions(["yes"] * len(TEXTS))
    fill(store, samples, {("m", "plain", 0): TEXTS})
    judge(store, {(sample.questions[0], "yes", text): "CORRECT" if text[0] in "Yp" else "INCORRECT"
                  for sample, text in zip(samples, TEXTS, strict=True)})  # fmt: skip
    score_store(store)
    return tmp_path / "out"


def keys(folder: Path, text: str, *more: str) -> Any:
    return CliRunner().invoke(app, ["label", str(folder), *more], input=text)


def shown(output: str) -> list[str]:
    return re.findall(r"^answer +(.*)$", output, re.MULTILINE)


def ratings(folder: Path, rater: str) -> dict[str, str]:
    sql = "SELECT candidate, arg_max(label, committed_at) AS label FROM raw_verdicts WHERE judge = ? GROUP BY candidate"
    rows = Store(str(folder)).query(sql, [f"human:{rater}"], ("verdicts",))
    return {row["candidate"]: row["label"] for row in rows}


def test_rate_skip_go_back_stop_and_go_on(folder: Path) -> None:
    first = keys(folder, "c\nx\ni\nb\nn\ns\nq\n", "--rater", "anna")
    assert first.exit_code == 0, first.output
    seen = shown(first.stdout)
    assert len(seen) == 6, "four answers, two of them shown again"
    assert seen[1:3] == seen[3:5]
    assert "c correct, i incorrect" in first.stdout, "a wrong key says which there are"
    assert "2 of 4  (you said INCORRECT)" in first.stdout
    assert ratings(folder, "anna") == {seen[0]: "CORRECT", seen[1]: "NOT_ATTEMPTED"}
    assert "anna: 2 answers rated" in first.stdout
    again = keys(folder, "i\ni\n", "--rater", "anna")
    assert shown(again.stdout) == [seen[2], seen[5]], "what was skipped comes again, what is rated does not"
    assert "anna: 4 answers rated" in again.stdout
    done = keys(folder, "", "--rater", "anna")
    assert "anna has rated the whole sample" in done.stdout


def test_at_the_first_answer_there_is_no_way_back(folder: Path) -> None:
    seen = shown(keys(folder, "b\nb\nq\n", "--rater", "anna").stdout)
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_two_raters_and_an_adjudicator(folder: Path) -> None:
    keys(folder, "c\nc\nc\nc\n", "--rater", "anna")
    second = keys(folder, "c\ni\nc\ni\n", "--rater", "ben")
    assert "2 answers are disputed" in second.stdout
    assert "agreement between raters: alpha" in second.stdout
    judged = keys(folder, "i\nc\n", "--rater", "chief", "--adjudicate")
    assert len(shown(judged.stdout)) == 2
    assert "disputed" not in judged.stdout.split("sample draw")[-1]
    assert "nothing is disputed" in keys(folder, "", "--rater", "chief", "--adjudicate").stdout


def test_ratings_from_a_file_join_those_of_the_keyboard(folder: Path, tmp_path: Path) -> None:
    keys(folder, "c\nq\n", "--rater", "anna")
    path = tmp_path / "rate.csv"
    keys(folder, "", "--export", str(path), "--rater", "anna")
    head, *lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 3, "what anna has rated is left out"
    path.write_text("\n".join([head, *(line + "incorrect" for line in lines)]), "utf-8")
    found = keys(folder, "", "--import", str(path), "--rater", "anna")
    assert found.exit_code == 0, found.output
    assert "anna: 4 answers rated" in found.stdout
    assert sorted(ratings(folder, "anna").values()) == ["CORRECT", *["INCORRECT"] * 3]


def test_images_are_opened_as_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    opened: list[str] = []
    monkeypatch.setattr(judge_text.typer, "launch", lambda path: opened.append(path) or 0)
    picture = tmp_path / "scan.tiff"
    Image.new("L", (6, 4), 90).save(picture)
    work = Labelling(str(folder))
    (answer, *_) = work.waiting("anna")
    with_image = type(answer)(**{**vars(answer), "refs": ({"uri": str(picture)},)})
    monkeypatch.setattr(Labelling, "waiting", lambda *_: [with_image, answer])
    told = keys(folder, "o\ns\no\nq\n", "--rater", "anna")
    (path,) = opened
    assert path in told.stdout
    assert path.endswith(".png"), "what viewers do not open is made PNG"
    assert "this sample has no image" in told.stdout
    lost = type(answer)(**{**vars(answer), "refs": ({"uri": str(tmp_path / "gone.png")},)})
    monkeypatch.setattr(Labelling, "waiting", lambda *_: [lost])
    assert "gone.png" in keys(folder, "o\nq\n", "--rater", "anna").stdout


@pytest.fixture
def terminal(folder: Path) -> Iterator[Any]:
    """Run `label` on a real pseudo-terminal; give a function that sends keys once a text is there."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "raybench.cli", "label", str(folder), "--rater", "anna"]
    process = Popen(command, stdin=follower, stdout=follower, stderr=follower, close_fds=True)
    os.close(follower)
    heard = [""]

    def send(text: str, after: str) -> str:
        end = time.monotonic() + 60
        while after not in heard[0] and time.monotonic() < end:
            if select.select([leader], [], [], 0.5)[0]:
                try:
                    heard[0] += os.read(leader, 4096).decode("utf-8", "replace")
                except OSError:
                    break
        assert after in heard[0], heard[0]
        before, heard[0] = heard[0], ""
        if text:
            os.write(leader, text.encode())
        return before

    yield send, process
    if process.poll() is None:
        process.kill()
    process.wait(timeout=30)
    os.close(leader)


def test_a_terminal_shows_one_answer_at_a_time_and_ctrl_d_keeps_what_was_rated(terminal: Any, folder: Path) -> None:
    send, process = terminal
    first = send("c\n", " > ")
    assert "1 of 4" in first
    assert "called" not in first, "no verdict is shown"
    assert "2 of 4" in send("\x04", " > ")  # Ctrl-D
    end = send("", "corrected scores and agreement")
    assert "anna: 1 answers rated" in end
    assert process.wait(timeout=30) == 0
    assert list(ratings(folder, "anna").values()) == ["CORRECT"]
