"""What the server answers: the numbers of the command line, pages by key, sentences for what is broken."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import duckdb
import pytest
from PIL import Image

from raybench.dashboard import app
from raybench.dashboard.app import HEAVY, QUESTIONS
from raybench.dashboard.board import _cost
from raybench.dashboard.correct import hits_of
from raybench.dashboard.folder import Folder, _unreadable
from raybench.dashboard.overall import _mean
from raybench.dashboard.worker import Worker
from raybench.leaderboard import boards, compare
from raybench.schema import SCORE_KEY
from raybench.store import Store
from raybench.store.compact import compact
from tests.dashboard.folders import HOSTILE, PLACE, SECRETS, N, client_of, small


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small(tmp_path_factory.mktemp("dashboard") / "results")


@pytest.fixture(scope="module")
def client(store):
    return client_of(store.name)


def ask(client, name, status=200, **asked):
    reply = client.get(f"/api/{name}", params=asked)
    assert reply.status_code == status, reply.text
    return reply.json()


def samples(client, **asked):
    return ask(client, "samples", **PLACE, **asked)


# --- the board --------------------------------------------------------------------------------------------------------


def test_meta_says_what_is_there(client):
    meta = ask(client, "meta")
    (task,) = meta["tasks"]
    assert (task["task"], task["dataset"], task["n_samples"], task["group"]) == ("vqa", "d", N, "vqa")
    assert task["headline"]["metric"] == "overall_accuracy"
    assert task["slices"]["organ"] == ["brain", "lung"]
    assert task["about"].startswith("Questions about images")
    assert (meta["models"], meta["judges"]) == (["best", "good", "lacks one", "poor"], ["j", "k"])
    assert (meta["counts"]["records"], meta["counts"]["planned"]) == (4 * N - 1, 4 * N)
    assert meta["partial"]
    assert meta["committed"] == pytest.approx((4 * N - 1) / (4 * N))
    assert meta["problems"] == []


def test_the_board_is_that_of_the_command_line(client, store):
    (wanted,) = boards(store)
    found = ask(client, "board", **PLACE)
    assert found["ranks_pending"]
    assert [line["label"] for line in found["lines"]] == [line.model for line in wanted.lines]
    for line, other in zip(found["lines"], wanted.lines, strict=True):
        assert line["headline"]["value"] == other.headline["value"]
        assert line["partial"] == other.partial
        assert line["ranks"] is None
    assert [(column["profile"], column["metric"]) for column in found["columns"]] == wanted.columns
    assert found["mde"] == wanted.mde
    assert "points cannot be told apart" in found["mde_sentence"]
    assert found["judges"] == ["j", "k"]


def test_ranks_are_those_of_the_command_line_and_stay(client, store):
    ranks = ask(client, "ranks", **PLACE)["ranks"]
    board = ask(client, "board", **PLACE)
    assert not board["ranks_pending"]
    wanted = {line.model: list(line.ranks) for line in boards(store)[0].lines if line.ranks}
    assert {line["label"]: ranks[line["id"]] for line in board["lines"] if line["id"] in ranks} == wanted
    assert {line["label"]: line["ranks"] for line in board["lines"] if line["ranks"]} == wanted
    assert wanted["best"] == wanted["good"] == [1, 2]
    assert wanted["poor"] == [3, 3]


def test_the_overview_has_a_line_a_model(client):
    ask(client, "ranks")
    found = ask(client, "board")
    (group,) = found["groups"]
    assert group["tasks"] == ["vqa|d|test"]
    assert [line["model"] for line in group["lines"]][-1] == "poor"
    assert {line["model"]: line["ranks"] for line in group["lines"]}["best"] == [1, 2]
    assert all(line["overall"] is None for line in group["lines"])


def test_the_overall_adds_variances_of_different_samples():
    cell = {"value": 0.5, "low": 0.4, "high": 0.6, "unit": "fraction"}
    found = _mean([cell, {**cell, "value": 0.7, "low": 0.6, "high": 0.8}])
    assert found["value"] == pytest.approx(0.6)
    assert found["high"] - found["value"] == pytest.approx(0.1 / 2**0.5)


def test_a_slice_a_profile_and_a_judge_reorder_the_board(client):
    lung = ask(client, "board", **PLACE, slice="organ=lung")
    assert {line["headline"]["n"] for line in lung["lines"] if line["label"] == "best"} == {N // 2}
    assert ask(client, "ranks", **PLACE, slice="organ=lung")["ranks"]
    other = ask(client, "board", **PLACE, profile="vqa-v2-exact")
    assert other["metric"]["profile"] == "vqa-v2-exact"
    assert other["columns"][0]["profile"] == "raybench-strict"
    judged = ask(client, "board", **PLACE, judge="j")
    assert judged["metric"] == {
        "profile": "judge j", "metric": "judge_accuracy", "label": "judge_accuracy", "unit": "fraction",
        "higher_is_better": True,
    }  # fmt: skip
    assert "it has: " in ask(client, "board", 400, **PLACE, profile="nonsense")["error"]


def test_published_numbers_stand_at_the_end(client):
    with_them = ask(client, "board", **PLACE, reported="1")["lines"]
    without = ask(client, "board", **PLACE, reported="0")["lines"]
    assert [line["kind"] for line in with_them][: len(without)] == [line["kind"] for line in without]


def test_scores_are_those_of_the_store(store):
    names = ", ".join((*SCORE_KEY, "value"))
    wanted = store.query(f"SELECT {names} FROM scores ORDER BY ALL")
    assert Folder(store.name).view().scores(f"SELECT DISTINCT {names} FROM any_score ORDER BY ALL") == wanted


def test_footers_are_kept_for_every_query(store):
    setting = "SELECT value FROM duckdb_settings() WHERE name = 'parquet_metadata_cache'"
    view = Folder(store.name).view()
    for ask_rows in (view.scores, view.rows):  # each query has a cursor, which local settings do not reach
        assert [row["value"] for row in ask_rows(setting)] == ["true"]


# --- two models -------------------------------------------------------------------------------------------------------


def test_compare_is_that_of_the_command_line(client, store):
    wanted = {(item.profile, item.metric): item for item in compare(store, "good", "poor", "vqa")}
    found = ask(client, "compare", a="good", b="poor", task="vqa")
    assert {(item["profile"], item["metric"]) for item in found["items"]} == set(wanted)
    for item in found["items"]:
        other = wanted[item["profile"], item["metric"]]
        assert (item["value_a"], item["value_b"], item["n"], item["only"]) == pytest.approx(
            (other.value_a, other.value_b, other.difference.n, other.only)
        )
        assert (item["p"], item["test"]) == (pytest.approx(other.difference.p), other.difference.test)
        assert (item["low"], item["high"]) == pytest.approx((other.difference.low, other.difference.high), abs=0.03)
    head = found["items"][0]
    assert head["headline"]
    assert {flip["sample"] for flip in head["flips"]} == {
        flip.sample for item in wanted.values() if item.headline for flip in item.flips
    }
    assert {row["slice"] for row in head["slices"]} == {"organ=brain", "organ=lung"}
    assert sum(row["n"] for row in head["slices"]) == N
    assert {row["better"] for row in head["flips"]} == {"good"}


def test_compare_says_what_else_differs(client):
    rows = {row["name"]: (row["a"], row["b"]) for row in ask(client, "compare", a="best", b="good")["properties"]}
    assert rows["revision"] == ("best", "good")
    assert "no scores of model 'bst' (did you mean 'best'?)" in ask(client, "compare", 400, a="bst", b="good")["error"]


@pytest.mark.parametrize(
    ("headline", "metrics"),
    [
        (("raybench-strict", "overall_accuracy"), ["overall_accuracy"]),
        (("detection", "f1_50"), ["image_hit_50", "healthy_empty_rate"]),
        (("classification", "f1"), ["accuracy"]),
    ],
)
def test_right_and_wrong_follow_the_headline(headline, metrics):
    hits = hits_of(headline)
    assert [metric.name for metric in hits.metrics] == metrics
    assert hits.binary


# --- samples ----------------------------------------------------------------------------------------------------------


def test_pages_follow_one_another_without_gaps(client):
    rows, asked = [], {"limit": "7"}
    while True:
        page = samples(client, **asked)
        rows += page["rows"]
        if page["next"] is None:
            break
        asked["after"] = page["next"]
    keys = [(row["sample"], row["model"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) == 4 * N == samples(client)["total"]


def test_filters(client):
    assert {row["outcome"] for row in samples(client, outcome="failed")["rows"]} == {"failed"}
    assert samples(client, model="good", correct="0")["total"] is None
    assert {row["sample"] for row in samples(client, model="good", correct="0")["rows"]} == {"s22", "s23"}
    assert len(samples(client, model="best", slice="organ=lung")["rows"]) == N // 2
    assert [row["model"] for row in samples(client, q="ONERROR")["rows"]] == ["poor"]
    assert {row["sample"] for row in samples(client, q="s07")["rows"]} == {"s07"}
    pair = samples(client, model="good", other="best", disagree="models")["rows"]
    assert {(row["sample"], row["model"]) for row in pair} == {("s22", "good"), ("s23", "good")}
    judges = samples(client, disagree="judges")["rows"]
    assert {(row["sample"], row["model"]) for row in judges} == {("s09", "poor")}
    right = samples(client, verdict="correct", judge="j")["rows"]
    assert {row["sample"] for row in right} == {"s00", "s09"}
    assert {each["judge"] for row in right for each in row["verdicts"]} == {"j", "k"}
    outcomes = {each["value"]: each["n"] for each in samples(client)["facets"]["outcome"]}
    assert sum(outcomes.values()) == 4 * N


@pytest.mark.parametrize(
    "asked",
    [{"limit": "0"}, {"limit": "many"}, {"after": "x"}, {"after": "W10="}, {"slice": "organ"}, {"correct": "yes"},
     {"disagree": "us"}],
)  # fmt: skip
def test_malformed_filters_are_refused(client, asked):
    assert samples_error(client, **asked)


def samples_error(client, **asked):
    return ask(client, "samples", 400, **PLACE, **asked)["error"]


def test_one_sample_with_every_answer(client):
    found = ask(client, "sample", **PLACE, sample="s10")
    assert (found["previous"], found["next"]) == ({"sample": "s09"}, {"sample": "s11"})
    answers = {answer["model"]: answer for answer in found["answers"]}
    assert answers["poor"]["text"] == HOSTILE
    assert answers["best"]["correct"]
    assert not answers["poor"]["correct"]
    assert found["sample"]["context"] == {"caption": "a lung"}
    first = ask(client, "sample", **PLACE, sample="s00")
    assert first["previous"] is None
    failed = next(answer for answer in first["answers"] if answer["outcome"] == "failed")
    assert (failed["correct"], failed["reason"], failed["verdicts"]) == (None, "timeout", [])
    assert ask(client, "sample", **PLACE, sample="s01")["sample"]["boxes"] == [
        {"x0": 0.1, "y0": 0.2, "x1": 0.5, "y1": 0.6, "label": "nodule", "score": None}
    ]
    assert ask(client, "sample", 400, **PLACE, sample="s99")["error"].startswith("no sample 's99'")


def test_images_are_opened_by_sample(client):
    whole = client.get("/api/image", params={**PLACE, "sample": "s01"})
    assert whole.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(whole.content)).size == (64, 64)
    thumb = client.get("/api/image", params={**PLACE, "sample": "s01", "thumb": "1"})
    assert thumb.headers["content-type"] == "image/jpeg"
    for asked in ({"n": "1"}, {"n": "-1"}, {"window": "1"}, {"window": "nan,1"}, {"slice": "-1"}, {"slice": "7"}):
        assert ask(client, "image", 404, **PLACE, sample="s01", **asked)["error"]
    assert "cannot be opened" in ask(client, "image", 404, **PLACE, sample="s03")["error"]


# --- runs, judges, speed ----------------------------------------------------------------------------------------------


def test_runs(client):
    assert [run["run_id"] for run in ask(client, "runs")] == ["r", "r2"]
    run = ask(client, "run", run_id="r2")
    assert (run["previous"], run["status"], run["spec"]["tasks"][0]["data"]) == ("r", "done", "…")
    assert {"path": "tasks[0].data", "before": "unused.csv", "after": "…"} in run["spec_diff"]
    first = ask(client, "run", run_id="r")
    cell = next(cell for cell in first["cells"] if cell["model"] == "lacks one")
    assert (cell["planned"], cell["failed"], cell["pending"]) == (N, 1, 0)
    assert "no run 'r9'" in ask(client, "run", 400, run_id="r9")["error"]


def test_a_judge_without_a_card(client):
    found = ask(client, "judge", judge="j")
    assert found["card"] is None
    assert {row["metric"] for row in found["scores"]} >= {"judge_accuracy"}
    assert "there are: j, k" in ask(client, "judge", 400, judge="x")["error"]


CARD = {
    "judge": "j", "suite": "medical", "key": "k1", "supported": True,
    "sensitivity": {"value": 0.93, "low": 0.9, "high": 0.95, "n": 400},
    "as_used": {"sensitivity": {"value": 0.96, "low": 0.93, "high": 0.98, "n": 400}},
    "weights": "/srv/hidden/j", "categories": [{"category": "negation", "n": 80}],
}  # fmt: skip


def test_cards_of_the_folder_belong_to_their_judge(copy):
    cards = copy / "judge_cards"
    cards.mkdir()
    (cards / "a.json").write_text(json.dumps(CARD))
    (cards / "b.json").write_text(json.dumps({**CARD, "suite": "phantom", "supported": False}))
    (cards / "broken.json").write_text('{"judge": "j", ')
    (cards / "list.json").write_text("[1]")
    found = ask(client_of(copy), "judge", judge="j")
    assert [(card["suite"], card["supported"]) for card in found["cards"]] == [("phantom", False), ("medical", True)]
    assert found["card"] == found["cards"][0]
    assert found["cards"][1]["weights"] == "…", "no path is shown"
    assert ask(client_of(copy), "judge", judge="k")["cards"] == []


def test_a_price_is_of_a_thousand_answers():
    known = {"rows_per_second": 2.0, "tokens_in": 500.0, "tokens_out": 100.0}
    assert _cost(known, {}) is None
    assert _cost(known, {"price_per_hour": 3.6}) == pytest.approx(0.5), "1000 answers take 500 s of an hour at 3.6"
    assert _cost(known, {"price_per_million_tokens": [1.0, 10.0]}) == pytest.approx(1.5)
    assert _cost(known, {"price_per_hour": 3.6, "price_per_million_tokens": [1.0, 10.0]}) == pytest.approx(2.0)
    assert _cost({"rows_per_second": None}, {"price_per_hour": 3.6}) is None


def test_facets_name_what_there_is(client):
    facets = samples(client)["facets"]
    assert {each["value"]: each["n"] for each in facets["model"]} == dict.fromkeys(
        ("best", "good", "poor", "lacks one"), N
    )
    assert [each["value"] for each in facets["judge"]] == ["j", "k"]
    assert [each["value"] for each in facets["verdict"]] == ["correct", "incorrect"]
    of_k = samples(client, judge="k")["facets"]["verdict"]
    assert [each["value"] for each in of_k] == ["incorrect"]
    failed = samples(client, outcome="failed")["facets"]["model"]
    assert [(each["value"], each["n"]) for each in failed] == [("lacks one", 1)]


def test_all_tasks_on_one_slice(client):
    whole = ask(client, "board", slice="organ=lung")
    alone = ask(client, "board", **PLACE, slice="organ=lung")
    values = {line["model"]: line["headline"]["value"] for line in alone["lines"] if line["kind"] == "system"}
    (group,) = whole["groups"]
    shown = {line["model"]: line["cells"]["vqa|d|test"]["value"] for line in group["lines"]}
    assert shown == values
    assert all(line["headline"]["n"] == N // 2 for line in alone["lines"] if line["model"] == "best")


def test_pareto_has_every_system(client):
    found = ask(client, "pareto", **PLACE)
    assert {point["model"] for point in found["points"]} == {"best", "good", "poor", "lacks one"}
    assert not any(point["frontier"] for point in found["points"])  # nothing was timed


# --- what may be asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("board", {"tasks": "vqa"}, "unknown parameter 'tasks' (did you mean 'task'?)"),
        ("board", {"task": "vq"}, "no scores of vq (did you mean 'vqa'?)"),
        ("samples", {"task": "vqa"}, "missing parameter 'dataset'"),
        ("sample", {**PLACE, "sample": "x" * 2000}, "at most 1000 characters"),
    ],
)
def test_other_questions_get_a_sentence(client, name, asked, words):
    assert words in ask(client, name, 400, **asked)["error"]


def test_unknown_addresses(client):
    assert "did you mean 'board'" in ask(client, "bord", 404)["error"]
    assert client.get("/api/board?task=vqa&task=slake").status_code == 400
    assert client.get("/elsewhere").json() == {"error": "nothing here"}


def test_the_page_and_its_files(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    script = client.get("/web/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = client.get("/web/app.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/web/absent.js").status_code == 404


def test_no_answer_holds_a_path_a_secret_or_a_patient(client):
    asked = [("meta", {}), ("board", {}), ("board", PLACE), ("ranks", {}), ("pareto", PLACE), ("runs", {}),
             ("compare", {"a": "best", "b": "good"}), ("samples", PLACE), ("run", {"run_id": "r2"}),
             ("judge", {"judge": "j"}), *(("sample", {**PLACE, "sample": f"s{i:02d}"}) for i in range(4)),
             ("image", {**PLACE, "sample": "s03"}), ("board", {"task": "/srv"})]  # fmt: skip
    for name, parameters in asked:
        text = client.get(f"/api/{name}", params=parameters).text
        assert not [secret for secret in SECRETS if secret in text], name


def test_a_worker_answers_the_same(client, store):
    worker = Worker(store.name, {name: QUESTIONS[name].answer for name in HEAVY})
    try:
        assert worker.ask("ranks", PLACE) == ask(client, "ranks", **PLACE)
    finally:
        worker.close()


# --- folders that are empty, growing or broken ------------------------------------------------------------------------


@pytest.fixture
def copy(store, tmp_path):
    """A copy of the folder that a test may break."""
    root = tmp_path / "copy"
    shutil.copytree(store.name, root, ignore=shutil.ignore_patterns("cache"))
    return root


def test_an_empty_folder_is_a_page_too(tmp_path):
    client = client_of(tmp_path)
    meta = ask(client, "meta")
    assert (meta["runs"], meta["tasks"], meta["counts"]["records"]) == ([], [], 0)
    assert ask(client, "board") == {"title": "Leaderboard", "overview": [], "groups": [], "ranks_pending": True}
    assert ask(client, "ranks") == {"ranks": {}, "speed": {}, "groups": {}}
    assert ask(client, "runs") == []
    assert samples(client)["rows"] == []
    assert "there are: none" in ask(client, "run", 400, run_id="r")["error"]


def test_a_folder_of_runs_without_scores(copy):
    for table in ("scores", "records"):
        shutil.rmtree(copy / table)
    client = client_of(copy)
    assert ask(client, "meta")["tasks"] == []
    assert [run["run_id"] for run in ask(client, "runs")] == ["r", "r2"]


@pytest.mark.parametrize("table", ["scores", "records", "responses", "samples", "verdicts", "runs"])
def test_a_half_written_part_is_left_out_and_named(copy, table):
    good = next((copy / table).glob("*.parquet"))
    (copy / table / "half.parquet").write_bytes(good.read_bytes()[:200])
    client = client_of(copy)
    samples(client)  # the tables of rows are opened when first asked for
    meta = ask(client, "meta")
    assert [problem.split(" is damaged")[0] for problem in meta["problems"]] == [f"{table}/half.parquet"]
    assert len(meta["tasks"]) == 1
    assert len(samples(client)["rows"]) == 50


def test_a_damaged_snapshot_is_named(copy):
    compact(Store(str(copy)))
    snapshot = next((copy / "records").glob("snapshot-*.json"))
    snapshot.write_text("{", "utf-8")
    assert "records/snapshot-*.json is damaged" in ask(client_of(copy), "meta")["problems"][0]


def test_a_page_damaged_inside_is_a_sentence(copy):
    for part in (copy / "records").glob("*.parquet"):
        data = bytearray(part.read_bytes())
        data[4:400] = bytes(396)
        part.write_bytes(data)
    client = client_of(copy)
    reply = client.get("/api/samples", params=PLACE)
    assert reply.status_code == 503
    assert "cannot be read" in reply.json()["error"]
    assert str(copy) not in reply.text


def test_a_compacted_folder_gives_the_same_board(copy, client):
    compact(Store(str(copy)))
    assert ask(client_of(copy), "board", **PLACE)["columns"] == ask(client, "board", **PLACE)["columns"]
    assert samples(client_of(copy))["rows"] == samples(client)["rows"]


def test_new_results_appear(copy, monkeypatch):
    monkeypatch.setattr("raybench.dashboard.folder._FRESH_SECONDS", (0.0, 0.0))
    client = client_of(copy)
    before = ask(client, "runs")
    Store(str(copy)).write("runs", [{"run_id": "r3", "status": "done", "spec": "{}"}])
    assert len(ask(client, "runs")) == len(before) + 1


def test_ranks_are_kept_beside_the_results_where_that_is_possible(copy):
    ranks = ask(client_of(copy), "ranks", **PLACE)
    (kept,) = (copy / "cache").glob("ranks-*.json")
    assert ask(client_of(copy), "ranks", **PLACE) == ranks
    kept.write_text("[1]", "utf-8")
    assert ask(client_of(copy), "ranks", **PLACE) == ranks


def test_an_object_store_is_read_too(store):
    import fsspec

    fsspec.filesystem("memory").put(store.name, "/dashboard-results", recursive=True)
    client = client_of("memory://dashboard-results")
    assert ask(client, "meta")["remote"]
    assert ask(client, "board", **PLACE)["lines"][0]["label"] == "best"
    assert len(samples(client)["rows"]) == 50


def test_a_missing_folder_is_refused(tmp_path: Path):
    from raybench.errors import StoreError

    with pytest.raises(StoreError, match="no result folder"):
        Folder(str(tmp_path / "absent"))


def test_a_server_short_of_memory_says_try_again(client, monkeypatch):
    """DuckDB has its limit: many pictures of a large folder at once are no damaged folder."""
    error = _unreadable(duckdb.OutOfMemoryException("could not allocate block"))

    def refuse(*_):
        raise error

    monkeypatch.setattr(app, "answer", refuse)
    assert ask(client, "meta", 503)["error"] == "too much is asked of this server at once: try again in a moment"
