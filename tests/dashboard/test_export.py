"""The exported site: every question of the page answered by a file, nothing private in it, nothing sent away."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from raybench.dashboard.export import export
from raybench.errors import PolicyError, SpecError, StoreError
from raybench.schema import canonical_json
from raybench.store import Store
from tests.dashboard.folders import HOSTILE, PLACE, SECRETS, N, client_of, small


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small(tmp_path_factory.mktemp("export") / "results")


@pytest.fixture(scope="module")
def site(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "deep" / "folder"
    export(store.name, str(out))
    return out


def index(site: Path):
    return json.loads((site / "api" / "index.json").read_text("utf-8"))


def answer(site: Path, name: str, **asked: str):
    """What `static.js` finds: the question's name, and its pairs in order as compact JSON."""
    key = json.dumps(sorted(asked.items()), separators=(",", ":"), ensure_ascii=False)
    return json.loads((site / index(site)["questions"][f"{name} {key}"]).read_text("utf-8"))


def test_the_page_is_marked_static_and_whole(site):
    page = (site / "index.html").read_text("utf-8")
    assert 'data-adapter="static"' in page
    assert {path.name for path in (site / "web").iterdir()} >= {"app.js", "app.css", "data.js", "static.js"}


def test_answers_are_those_of_the_server(site, store):
    client = client_of(store.name)
    client.get("/api/ranks")
    for name, asked in [
        ("meta", {}), ("runs", {}), ("run", {"run_id": "r2"}), ("judge", {"judge": "j"}), ("board", {}),
        ("pareto", PLACE), ("compare", {"a": "best", "b": "poor"}),
        ("compare", {"a": "best", "b": "poor", "task": "vqa"}),
        ("sample", {**PLACE, "sample": "s10"}),
    ]:  # fmt: skip
        assert answer(site, name, **asked) == client.get(f"/api/{name}", params=asked).json(), name
    board = answer(site, "board", **PLACE, reported="1")
    assert not board["ranks_pending"]
    assert {line["label"]: line["ranks"] for line in board["lines"]}["best"] == [1, 2]
    assert answer(site, "board", **PLACE, reported="1", slice="organ=lung")["slice"] == "organ=lung"


def test_all_rows_with_their_slices_lie_in_one_list(site):
    found = answer(site, "samples", **PLACE)
    assert found["total"] == len(found["rows"]) == 4 * N
    assert found["rows"][0]["slices"] == {"answer_type": "closed", "organ": "brain"}
    assert HOSTILE in [row["text"] for row in found["rows"]]


def test_images_are_small_and_named_by_sample(site):
    images = index(site)["images"]
    assert len(images) == N - 1  # one file is not there
    image = Image.open(io.BytesIO((site / images["vqa|d|test|s01|0"]).read_bytes()))
    assert image.format == "JPEG"
    assert max(image.size) <= 512


def test_nothing_private_is_written(site):
    texts = [path.read_text("utf-8") for path in site.rglob("*.json")]
    assert not [secret for secret in SECRETS if any(secret in text for text in texts)]


def test_samples_are_capped_with_a_note(store, tmp_path):
    done = export(store.name, str(tmp_path / "o"), max_samples=5, max_pairs=1)
    assert "vqa: the first 5 samples; scores are of all" in done.notes
    assert "comparisons: the first 1 of 6 pairs of models" in done.notes
    found = answer(tmp_path / "o", "samples", **PLACE)
    assert {row["sample"] for row in found["rows"]} == {f"s{i:02d}" for i in range(5)}
    assert answer(tmp_path / "o", "sample", **PLACE, sample="s04")["next"] is None
    assert any("image of vqa sample s03 cannot be opened" in note for note in done.notes)


def test_it_goes_to_new_folders_and_over_itself(store, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    with pytest.raises(SpecError, match="other files"):
        export(store.name, str(tmp_path))
    out = str(tmp_path / "o")
    assert (
        export(store.name, out, max_samples=1, max_pairs=0).files
        == export(store.name, out, max_samples=1, max_pairs=0).files
    )


def test_there_must_be_scores(tmp_path):
    Store(str(tmp_path / "r")).write("runs", [{"run_id": "r", "status": "done", "spec": '{"tasks":[]}'}])
    with pytest.raises(StoreError, match="nothing to export"):
        export(str(tmp_path / "r"), str(tmp_path / "o"))
    assert not (tmp_path / "o" / "index.html").exists()


def test_restricted_data_are_exported_to_local_disk_only(tmp_path):
    store = small(tmp_path / "r")
    spec = {"tasks": [{"task": "vqa", "data": "q.csv", "restricted": True}]}
    store.write("runs", [{"run_id": "r3", "status": "done", "spec": canonical_json(spec)}])
    with pytest.raises(PolicyError, match="restricted data"):
        export(store.name, "memory://restricted-export")
    assert not fsspec.filesystem("memory").exists("/restricted-export")
    assert export(store.name, str(tmp_path / "o"), max_samples=1, max_pairs=0).files


def test_others_may_go_to_an_object_store(store):
    assert export(store.name, "memory://open-export", max_samples=1, max_pairs=0).files
    assert fsspec.filesystem("memory").exists("/open-export/index.html")
