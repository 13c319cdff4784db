"""The spec: every mistake is one sentence with the place, what is allowed and the nearest match."""

from __future__ import annotations

import pytest

from raybench import registry
from raybench.errors import SpecError, UnknownNameError, UserError
from raybench.schema import digest
from raybench.spec import (
    Generation,
    apply_settings,
    as_yaml,
    build,
    expand_path,
    expanded,
    model_entry,
    open_plugin,
    read,
    with_entries,
)

MODEL = {"name": "a", "backend": "imported", "answers": "x.csv"}
VQA = {"task": "vqa", "data": "x.csv"}
KEYS = "answers, text_field, id_field, name, backend, replicas, gpus, cpus, generation, kind, boxes, licence, notes"


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"modle": ["a"]},
         "s.yaml: unknown key 'modle' (did you mean 'models'?); allowed: name, output, tasks, models,"),
        ({"modle": []}, "s.yaml: unknown key 'modle' (did you mean 'models'?)"),
        ({"models": [{**MODEL, "txt_field": "x"}]},
         f"s.yaml: models[0] (a): unknown key 'txt_field' (did you mean 'text_field'?); allowed: {KEYS}"),
        ({"models": [{**MODEL, "replcas": 2}]},
         "s.yaml: models[0] (a): unknown key 'replcas' (did you mean 'replicas'?)"),
        ({"models": [{"name": "q", "backend": "hf", "modle": "x"}]},
         "s.yaml: models[0] (q): unknown key 'modle' (did you mean 'model'?)"),
        ({"models": [{"name": "q", "backnd": "hf", "model": "x"}]},
         "model 'q': unknown key 'backnd' (did you mean 'backend'?)"),
        ({"models": [{"backend": "imported", "answers": "x"}]}, "s.yaml: models[0].name is missing"),
        ({"models": [{"nmae": "a", "backend": "imported"}]}, "s.yaml: models[0].name is missing (found 'nmae')"),
        ({"models": [{**MODEL, "replicas": 0}]},
         "s.yaml: models[0]: replicas must be [min, max] with 1 <= min <= max, not [0, 0]"),
        ({"models": [{**MODEL, "replicas": [3, 2]}]},
         "s.yaml: models[0]: replicas must be [min, max] with 1 <= min <= max, not [3, 2]"),
        ({"models": [{**MODEL, "replicas": "many"}]},
         "s.yaml: models[0].replicas: Input should be a valid tuple, not 'many'"),
        ({"models": [{**MODEL, "gpus": 1.5}]},
         "s.yaml: models[0].gpus: a replica shares one GPU (0.5) or has whole ones (2), not 1.5"),
        ({"models": [{**MODEL, "gpus": -1}]},
         "s.yaml: models[0].gpus: Input should be greater than or equal to 0, not -1"),
        ({"models": [{**MODEL, "generation": {"max_tokns": 1}}]},
         "s.yaml: models[0] (a) generation: unknown key 'max_tokns' (did you mean 'max_tokens'?)"),
        ({"models": [MODEL, MODEL]}, "s.yaml: models: name 'a' stands twice; names identify rows of the leaderboard"),
        ({"models": [3]}, "s.yaml: models[0]: Input should be a valid dictionary"),
        ({"tasks": [{**VQA, "dta": "x"}]}, "s.yaml: tasks[0] (vqa): unknown key 'dta' (did you mean 'data'?)"),
        ({"tasks": [{**VQA, "slice": ["x"]}]}, "s.yaml: tasks[0] (vqa): unknown key 'slice' (did you mean 'slices'?)"),
        ({"tasks": [{"taks": "vqa"}]}, "s.yaml: tasks[0].task is missing (found 'taks')"),
        ({"tasks": ["vqa"]}, "s.yaml: tasks[0] (vqa): data is missing"),
        ({"tasks": [{**VQA, "limit": 3, "sample": 3}]}, "s.yaml: tasks[0]: limit and sample exclude each other"),
        ({"tasks": [VQA, {**VQA, "limit": 0}]},
         "s.yaml: tasks[1].limit: Input should be greater than or equal to 1, not 0"),
        ({"tasks": [{**VQA, "prompts": 3}]}, "s.yaml: tasks[0].prompts: Input should be a valid string, not 3"),
        ({"tasks": 3}, "s.yaml: tasks: Input should be a valid tuple, not 3"),
        ({"generation": {"temprature": 1}},
         "s.yaml: unknown key 'temprature' in generation (did you mean 'temperature'?); "
         "allowed: temperature, top_p, max_tokens, seed, stop"),
        ({"generation": {"top_p": 0}}, "s.yaml: generation.top_p: Input should be greater than 0, not 0"),
        ({"images": "wiht"}, "s.yaml: images[0]: Input should be 'with', 'none', 'shuffled' or 'caption', not 'wiht'"),
        ({"min_coverage": 1.5}, "s.yaml: min_coverage: Input should be less than or equal to 1, not 1.5"),
        ({"judges": [{**MODEL, "schedul": "after"}]},
         "s.yaml: judges[0] (a): unknown key 'schedul' (did you mean 'schedule'?)"),
        ({"models": ["./nope/x"]}, "model './nope/x': no such folder; give a local checkpoint folder,"),
        ({"models": ["llava-1.5-7B"]},
         "unknown model 'llava-1.5-7B' (did you mean 'llava-1.5-7b'?): give a catalogue name ("),
        ({"judges": ["lama-3-8b"]}, "unknown judge 'lama-3-8b' (did you mean 'llama-3-8b'?): give a catalogue name ("),
    ],
)  # fmt: skip
def test_mistakes(document, sentence):
    with pytest.raises(SpecError) as caught:
        build(document, "s.yaml")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"tasks": ["vqa_rda"]}, "unknown task 'vqa_rda' (did you mean 'vqa_rad'?); known: "),
        ({"models": [{**MODEL, "backend": "hff"}]}, "unknown backend 'hff' (did you mean 'hf'?); known: "),
        ({"judges": [{**MODEL, "protocol": "reference_verdit"}]},
         "unknown judge protocol 'reference_verdit' (did you mean 'reference_verdict'?)"),
    ],
)  # fmt: skip
def test_unknown_plugins(document, sentence):
    with pytest.raises(UnknownNameError) as caught:
        build(document, "s.yaml")
    assert str(caught.value).startswith(sentence)


def test_defaults_and_short_forms():
    spec = build({"tasks": "vqa_rad", "models": "llava-1.5-7b"})
    assert [task.task for task in spec.tasks] == ["vqa_rad"]
    (model,) = spec.models
    assert (model.backend, model.replicas, model.boxes) == ("hf", (1, 1), "llava-crop")
    assert model.options["model"] == "llava-hf/llava-1.5-7b-hf"
    assert (spec.images, spec.repeats, spec.min_coverage, spec.judges) == (("with",), 1, 1.0, ())
    assert spec.generation == Generation(temperature=0, max_tokens=256, seed=0)
    assert build({"tasks": {**VQA, "limit": 5}, "models": {**MODEL, "replicas": 3}}).models[0].replicas == (3, 3)


def test_a_catalogue_entry_is_where_a_mapping_starts():
    known = registry.catalogue()["llava-1.5-7b"]
    entry = model_entry({"name": "llava-1.5-7b", "gpus": 2, "revision": "abc"}, "model")
    assert entry == {**known, "gpus": 2, "revision": "abc"}
    own = {"name": "llava-1.5-7b", "backend": "openai", "base_url": "http://localhost:1/v1", "model": "x"}
    assert model_entry(own, "model") == own


def test_a_folder_and_a_hub_id_are_models(tmp_path):
    (tmp_path / "tiny").mkdir()
    folder = str(tmp_path / "tiny")
    assert model_entry(folder, "model") == {"backend": "hf", "model": folder, "name": "tiny"}
    assert model_entry("owner/name", "model") == {"backend": "hf", "model": "owner/name", "name": "name"}


def test_the_catalogue_is_not_changed_by_a_spec():
    before = digest(registry.catalogue())
    document = with_entries({"models": ["llava-1.5-7b"]})
    changed = apply_settings(document, ["models.0.generation.max_tokens=7", "models.0.gpus=4"])
    assert changed["models"][0]["generation"] == {"max_tokens": 7}
    assert digest(registry.catalogue()) == before
    assert document["models"][0]["gpus"] == 1


def test_sampling_goes_catalogue_then_task_then_spec():
    model = {**MODEL, "generation": {"max_tokens": 11, "temperature": 0.5, "top_p": 0.9}}
    spec = build({"models": [model], "generation": {"temperature": 0.1}})
    sampling = spec.sampling(spec.models[0], {"max_tokens": 22, "temperature": 0.7})
    assert sampling == {"temperature": 0.1, "top_p": 0.9, "max_tokens": 22, "seed": 0, "stop": []}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("generation.max_tokens=64", {"generation": {"max_tokens": 64}}),
        ("models.0.gpus=0.5", {"models": [{"name": "a", "gpus": 0.5}]}),
        ("models.0.replicas=[1, 4]", {"models": [{"name": "a", "replicas": [1, 4]}]}),
        ("output=s3://b/x=y", {"output": "s3://b/x=y"}),
        ("fresh=true", {"fresh": True}),
    ],
)
def test_set_puts_a_value_at_its_place(setting, expected):
    document = {"models": [{"name": "a"}]}
    assert apply_settings(document, [setting]) == {**document, **expected}
    assert document == {"models": [{"name": "a"}]}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("gpus", "--set 'gpus': give key=value, e.g. --set generation.max_tokens=64"),
        ("=1", "--set '=1': give key=value"),
        ("models.1.gpus=1", "--set 'models.1.gpus=1': the spec has no place 'models.1.gpus'"),
        ("models.x.gpus=1", "--set 'models.x.gpus=1': the spec has no place 'models.x.gpus'"),
        ("models.0.name.x=1", "--set 'models.0.name.x=1': the spec has no place"),
        ("repeats.x.y=1", "--set 'repeats.x.y=1': the spec has no place"),
        ("generation.x=1", "--set 'generation.x=1': the spec has no place"),
        ("name=[1", "--set 'name=[1': '[1' is no valid YAML value (expected ',' or ']', but got"),
    ],
)
def test_set_without_a_place(setting, sentence):
    with pytest.raises(SpecError) as caught:
        apply_settings({"models": [{"name": "a"}], "repeats": 1, "generation": None}, [setting])
    assert str(caught.value).startswith(sentence)


def test_paths_of_a_spec_file_are_looked_for_beside_it_first(tmp_path, monkeypatch):
    (tmp_path / "specs" / "weights").mkdir(parents=True)
    (tmp_path / "specs" / "beside.csv").touch()
    (tmp_path / "here.csv").touch()
    path = tmp_path / "specs" / "s.yaml"
    path.write_text(
        "output: out\ntasks: [{task: vqa, data: beside.csv}, {task: vqa, data: here.csv}]\n"
        "models: [{name: a, backend: hf, model: ./weights}, {name: b, backend: hf, model: o/hub-id}, specs/weights]\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    spec = build(read(path), validate_plugins=False)
    assert [task.options["data"] for task in spec.tasks] == [
        str(tmp_path / "specs" / "beside.csv"), str(tmp_path / "here.csv"),
    ]  # fmt: skip
    weights = str(tmp_path / "specs" / "weights")
    assert [model.options["model"] for model in spec.models] == [weights, "o/hub-id", weights]
    assert spec.output == str(tmp_path / "out")  # results go where the command was given


def test_set_is_checked_like_the_file():
    document = apply_settings({"models": [MODEL]}, ["models.0.replcas=2"])
    with pytest.raises(SpecError, match="did you mean 'replicas'"):
        build(document)


def test_the_digest_names_the_content():
    spec = build({"tasks": [{**VQA, "slices": ["organ"]}], "models": [MODEL]})
    turned = build({"models": [dict(reversed(MODEL.items()))], "tasks": [{"slices": ["organ"], **VQA}], "repeats": 1})
    assert turned.digest == spec.digest
    assert build({"tasks": [{**VQA, "slices": ["plane"]}], "models": [MODEL]}).digest != spec.digest
    assert build({"tasks": [VQA], "models": [{**MODEL, "text_field": "x"}]}).digest != spec.digest


def test_a_spec_is_frozen():
    spec = build({"models": [MODEL]})
    with pytest.raises(ValueError, match="frozen"):
        spec.repeats = 2
    with pytest.raises(ValueError, match="frozen"):
        spec.models[0].gpus = 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n- b\n", "holds no mapping; a spec has keys such as tasks, models, output"),
        ("", "holds no mapping"),
        ("tasks: [vqa\n", "is no valid YAML: "),
        ("output: a\noutput: b\n", "is no valid YAML: key 'output' stands twice"),
        ("models:\n  - {name: a, gpus: 1, gpus: 2}\n", "key 'gpus' stands twice"),
        ("x: !!python/object/apply:os.system [ls]\n", "is no valid YAML: could not determine a constructor"),
    ],
)
def test_files_that_are_no_spec(tmp_path, text, sentence):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_no_spec_file(tmp_path):
    with pytest.raises(SpecError, match=r"^no spec file .*s\.yaml$"):
        read(tmp_path / "s.yaml")
    with pytest.raises(SpecError, match=r"^cannot read spec"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe4\n")
    with pytest.raises(SpecError, match=r"^cannot read spec"):
        read(tmp_path / "latin.yaml")


def test_what_is_printed_can_be_read(tmp_path):
    document = with_entries({"tasks": [VQA], "models": [{**MODEL, "notes": "Größe"}], "output": "s3://b/x"})
    path = tmp_path / "s.yaml"
    path.write_text(as_yaml(document), "utf-8")
    assert build(read(path)).digest == build(document).digest


def test_paths_are_expanded_and_urls_are_not(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    assert expand_path("~/a") == "/home/me/a"
    assert expand_path("$DATA/a") == "/data/a"
    assert expand_path("s3://b/$DATA/~") == "s3://b/$DATA/~"
    assert expanded({"data": "~/a", "dataset": "~/a"}) == {"data": "/home/me/a", "dataset": "~/a"}
    spec = build({"tasks": [{"task": "vqa", "data": "$DATA/x.csv"}]})
    assert open_plugin("tasks", "vqa", spec.tasks[0])[1].data == "/data/x.csv"


def test_every_mistake_is_the_users():
    assert issubclass(SpecError, UserError)
    assert issubclass(UnknownNameError, UserError)
