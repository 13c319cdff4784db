"""Who may ask, and that hostile text, names and addresses reach nothing: Host, token, headers, restricted data."""

from __future__ import annotations

import json

import pytest

from raybench.cli import main
from raybench.dashboard.folder import Folder
from raybench.dashboard.policy import check_local, restricted_tasks
from raybench.dashboard.security import HEADERS, Access
from raybench.dashboard.words import shown, without_identity, without_paths
from raybench.errors import PolicyError, SpecError
from raybench.schema import canonical_json
from raybench.store import Store
from tests.dashboard.folders import HOSTILE, PLACE, client_of, small

TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small(tmp_path_factory.mktemp("security") / "results")


@pytest.fixture(scope="module")
def client(store):
    return client_of(store.name)


# --- Host, methods, headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8600", "[::1]:8600", "127.0.0.1:1", "LOCALHOST"])
def test_this_machine_is_answered(client, host):
    assert client.get("/api/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "["],
)
def test_another_host_name_is_refused(client, host):
    """A page elsewhere whose name was re-bound to 127.0.0.1 still sends its own name."""
    for path in ("/", "/api/runs", "/web/app.js"):
        reply = client.get(path, headers={"host": host})
        assert reply.status_code == 403
        assert "Host" in reply.json()["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_written(client, method):
    assert client.request(method, "/api/runs").status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/web/app.js", "/api/runs", "/api/absent", "/absent", "/api/board?x=1", "/api/image"]
)
def test_every_answer_carries_the_headers(client, path):
    reply = client.get(path)
    for name, value in HEADERS.items():
        assert reply.headers[name] == value
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in reply.headers
    assert "server" not in reply.headers


def test_refusals_carry_the_headers_too(client):
    reply = client.get("/", headers={"host": "evil.example"})
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"


def test_another_site_may_link_and_not_read(client):
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.get("/?page=compare", headers=elsewhere).status_code == 200
    assert client.get("/api/image", params={**PLACE, "sample": "s01"}, headers=elsewhere).status_code == 403
    assert client.get("/api/runs", headers={"sec-fetch-site": "same-origin"}).status_code == 200


# --- the token --------------------------------------------------------------------------------------------------------


def test_another_address_needs_a_token_or_a_word():
    with pytest.raises(SpecError, match="--token auto"):
        Access("0.0.0.0")
    with pytest.raises(SpecError, match="16 characters"):
        Access("0.0.0.0", "short")
    with pytest.raises(SpecError, match="exclude"):
        Access("0.0.0.0", TOKEN, insecure=True)
    assert not Access("0.0.0.0", insecure=True).is_local
    assert Access("::1").is_local
    assert TOKEN not in repr(Access(token=TOKEN)) or Access(token=TOKEN).session not in repr(Access(token=TOKEN))


def test_the_token_opens_once_and_a_cookie_keeps_open(store):
    client = client_of(store.name, Access("0.0.0.0", TOKEN), "192.0.2.7:8600")
    for path in ("/", "/api/runs", "/web/app.js", "/?token=", "/?token=wrong", f"/api/runs?token={TOKEN}"):
        assert client.get(path).status_code == 401, path
    welcome = client.get("/", params={"page": "compare", "a": "x&y", "token": TOKEN})
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/?page=compare&a=x%26y")
    cookie = welcome.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN.split()[0] not in cookie
    assert client.get("/api/runs").status_code == 200
    client.cookies.clear()
    assert client.get("/api/runs", headers={"cookie": "raybench=guess"}).status_code == 401
    assert client.get("/api/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/api/runs", headers={"authorization": "Bearer ü".encode()}).status_code == 401


def test_names_are_refused_where_only_an_address_is_known(store):
    client = client_of(store.name, Access("0.0.0.0", insecure=True), "192.0.2.7:8600")
    assert client.get("/api/runs").status_code == 200
    assert client.get("/api/runs", headers={"host": "evil.example"}).status_code == 403
    named = client_of(store.name, Access("ward.example", insecure=True), "ward.example:8600")
    assert named.get("/api/runs").status_code == 200


# --- hostile values and text ------------------------------------------------------------------------------------------

ATTACKS = [
    "' OR 1=1 --",
    '"; DROP TABLE score; --',
    "../../etc/passwd",
    "%2e%2e/%2e%2e",
    "vqa' UNION SELECT 1",
    "\U0001f4a3",
]


@pytest.mark.parametrize("value", ATTACKS)
def test_values_are_bound(client, value):
    for name in ("task", "slice", "model", "outcome", "q", "sample"):
        for question in ("board", "samples", "sample", "image", "compare", "run", "judge"):
            reply = client.get(f"/api/{question}", params={**PLACE, name: value})
            assert reply.status_code in (200, 400, 404)
    rows = client.get("/api/samples", params={**PLACE, "q": value}).json()["rows"]
    assert rows == []
    assert client.get("/api/board").json()["overview"]


@pytest.mark.parametrize(
    "path",
    ["/web/../app.py", "/web/%2e%2e/app.py", "/web/..%2f..%2fpyproject.toml", "/web//etc/passwd", "/web/index.html",
     "/api/../etc/passwd", "/web/app.js%00.html"],
)  # fmt: skip
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404


def test_hostile_text_is_only_ever_json(client):
    reply = client.get("/api/sample", params={**PLACE, "sample": "s10"})
    assert reply.headers["content-type"] == "application/json"
    assert HOSTILE in [answer["text"] for answer in reply.json()["answers"]]


# --- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cannot read image /srv/a b/x.png: gone", "cannot read image … b/x.png: gone"),
        ("see s3://bucket/patients/1.dcm", "see …"),
        ("C:\\data\\x.csv", "…"),
        ("~/results/a", "…"),
        ("https://host/v1/models stays", "https://host/v1/models stays"),
        ("half/half, 3/4 and and/or stay", "half/half, 3/4 and and/or stay"),
        ("org/model", "org/model"),
        ("<b>no</b>", "<b>no</b>"),
    ],
)
def test_paths_are_left_out(text, wanted):
    assert without_paths(text) == wanted


def test_secrets_and_identities_are_left_out():
    assert shown({"api_key": "sk-1", "data": "/a/b", "n": [1, {"token": "x"}]}) == {
        "api_key": "***", "data": "…", "n": [1, {"token": "***"}],
    }  # fmt: skip
    context = {
        "caption": "c",
        "PatientName": "x",
        "patient_id": "x",
        "StudyInstanceUID": "x",
        "dob": "x",
        "history": "h",
    }
    assert without_identity(context) == {"caption": "c", "history": "h"}


# --- restricted data --------------------------------------------------------------------------------------------------


@pytest.fixture
def restricted(tmp_path):
    store = small(tmp_path / "restricted")
    spec = {"tasks": [{"task": "vqa", "data": "q.csv", "restricted": True}]}
    store.write("runs", [{"run_id": "r3", "status": "done", "spec": canonical_json(spec)}])
    return store


def test_restricted_data_stay_on_this_machine(restricted):
    view = Folder(restricted.name).view()
    assert restricted_tasks(view) == ["vqa"]
    check_local(view, True, "anywhere")
    with pytest.raises(PolicyError, match="restricted data"):
        check_local(view, False, "elsewhere")
    assert client_of(restricted.name).get("/api/meta").status_code == 200
    open_ = client_of(restricted.name, Access("0.0.0.0", insecure=True), "192.0.2.7:8600")
    for path in ("/api/meta", "/api/board", "/api/image?task=vqa&dataset=d&split=test&sample=s01"):
        reply = open_.get(path)
        assert reply.status_code == 403
        assert "restricted data" in reply.json()["error"]


def test_an_unknown_task_counts_as_restricted(tmp_path):
    store = Store(str(tmp_path / "r"))
    store.write("runs", [{"run_id": "r", "status": "done", "spec": json.dumps({"tasks": [{"task": "not_here"}]})}])
    assert restricted_tasks(Folder(store.name).view()) == ["not_here"]


# --- the command ------------------------------------------------------------------------------------------------------


def refused(monkeypatch, capsys, *args):
    monkeypatch.setattr("sys.argv", ["raybench", "dashboard", *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text


def test_the_command_refuses_in_a_sentence(monkeypatch, capsys, restricted, tmp_path):
    assert "no result folder" in refused(monkeypatch, capsys, tmp_path / "absent")
    assert "--token auto" in refused(monkeypatch, capsys, restricted.name, "--host", "0.0.0.0")
    text = refused(monkeypatch, capsys, restricted.name, "--host", "0.0.0.0", "--port", "0", "--insecure")
    assert "restricted data" in text


def test_a_taken_port_is_a_sentence(monkeypatch, capsys, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = refused(monkeypatch, capsys, tmp_path, "--port", taken.getsockname()[1])
    assert "cannot listen on 127.0.0.1" in text
    assert "--port 0" in text
