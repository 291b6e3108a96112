import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import pytest
from click.testing import CliRunner
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from browser import samples
from qmodel.cli import __main__ as program
from qmodel.cli import access as cluster_access
from qmodel.cli.durations import duration, parse_duration
from qmodel.cli.errors import AccessError, told
from qmodel.cli.kubeconfig import Target
from qmodel.settings import OPERATOR_VERSION
from unit.cli.models import SPEC, ScriptedAccess, model, status


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> ScriptedAccess:
    scripted = ScriptedAccess([model(status(8, servingRevision="r"))])
    monkeypatch.setattr(program, "connect", lambda target: (scripted, target.namespace))
    return scripted


def test_chat_asks_once_and_prints_the_answer(access: ScriptedAccess) -> None:
    words = ["chat", "smollm2", "Capital of France?", "-n", "demo", "--max-tokens", "9"]
    result = CliRunner().invoke(program.cli, words)
    assert result.output == "Paris.\n"
    assert access.requests == [
        {
            "model": "smollm2",
            "messages": [{"role": "user", "content": "Capital of France?"}],
            "max_tokens": 9,
            "temperature": 0,
        }
    ]


def test_an_answer_that_was_cut_is_said_beside_it(access: ScriptedAccess) -> None:
    access.ended = "length"
    words = ["chat", "smollm2", "Capital?", "-n", "demo", "--max-tokens", "9"]
    result = CliRunner().invoke(program.cli, words)
    assert result.stdout == "Paris.\n"
    assert result.stderr == "The answer was cut after 9 tokens (--max-tokens).\n"
    access.answer = None
    assert CliRunner().invoke(program.cli, words).stdout == "\n"


def test_chat_with_a_model_that_does_not_serve_says_how_to_follow_it(
    access: ScriptedAccess,
) -> None:
    access.models = [model(status(1, stage="Fetching"))]
    result = CliRunner().invoke(program.cli, ["chat", "smollm2", "Hello", "-n", "demo"])
    assert "does not serve yet (stage: Fetching)" in str(result.exception)
    assert "kubectl qmodel watch smollm2 -n demo" in str(result.exception)


def test_watch_exits_as_it_ended(access: ScriptedAccess) -> None:
    result = CliRunner().invoke(program.cli, ["watch", "smollm2", "-n", "demo"])
    assert result.exit_code == 0
    access.models = [model(status(1))]
    words = ["watch", "smollm2", "-n", "demo", "--timeout", "0.1s"]
    assert CliRunner().invoke(program.cli, words).exit_code == 2


def test_report_prints_a_table_and_writes_a_page(
    access: ScriptedAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.models = [samples.q8().model]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(program.cli, ["report", "smollm2-q8", "-n", "demo"])
    page = (tmp_path / "smollm2-q8-report.html").read_text()
    assert result.exit_code == 0
    assert "1.0027 ± 0.0020" in result.output
    assert "page: smollm2-q8-report.html (" in result.output
    assert page.startswith("<!doctype html>")


def test_text_alone_writes_and_reads_nothing(
    access: ScriptedAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.models = [samples.q8().model]
    monkeypatch.chdir(tmp_path)
    for command in ("report", "compare"):
        words = [command, "smollm2-q8", "-n", "demo", "--text"]
        assert "1.0027 ± 0.0020" in CliRunner().invoke(program.cli, words).output
    assert list(tmp_path.iterdir()) == []
    assert access.read == []


def test_compare_reads_each_model_once(access: ScriptedAccess, tmp_path: Path) -> None:
    access.models = [samples.q8().model]
    page = tmp_path / "page.html"
    words = ["compare", "smollm2-q8", "smollm2-q8", "-n", "demo", "-o", str(page)]
    result = CliRunner().invoke(program.cli, words)
    assert result.exit_code == 0
    assert access.read == ["smollm2-q8"]
    assert "At a glance" in page.read_text()


def test_without_the_volume_no_pod_is_made(access: ScriptedAccess, tmp_path: Path) -> None:
    access.models = [samples.q8().model]
    page = tmp_path / "page.html"
    words = ["report", "smollm2-q8", "-n", "demo", "-o", str(page), "--no-volume"]
    assert CliRunner().invoke(program.cli, words).exit_code == 0
    assert access.read == []
    assert "--no-volume" in page.read_text()


def test_a_page_that_cannot_be_written_is_said(access: ScriptedAccess, tmp_path: Path) -> None:
    access.models = [samples.q8().model]
    words = ["report", "smollm2-q8", "-n", "demo", "-o", str(tmp_path / "gone" / "page.html")]
    result = CliRunner().invoke(program.cli, words)
    assert "the page cannot be written" in str(result.exception)


@pytest.mark.usefixtures("access")
def test_an_unknown_model_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["qmodel", "report", "other", "-n", "demo"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == ("error: QuantizedModel other in namespace demo: not found\n")


@pytest.mark.usefixtures("access")
@pytest.mark.parametrize(
    "words",
    [
        ["report", ""],
        ["compare", "a", ""],
        ["watch", ""],
        ["report", "a", "--namespace", ""],
        ["report", "a", "--context", ""],
    ],
)
def test_an_empty_name_is_refused(words: list[str]) -> None:
    result = CliRunner().invoke(program.cli, words)
    assert result.exit_code == 2
    assert "it is empty" in result.stderr


BEFORE = ["--context", "here", "-n", "a", "report", "x"]
AFTER = ["report", "x", "--context", "there", "-n", "b", "--kubeconfig", __file__]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["report", "x"], Target()),
        (BEFORE, Target(context="here", namespace="a")),
        (AFTER, Target(__file__, "there", "b")),
        ([*BEFORE, *AFTER[2:]], Target(__file__, "there", "b")),
        ([*BEFORE, "-n", "b"], Target(context="here", namespace="b")),
        (["compare", "x", "y", *AFTER[2:]], Target(__file__, "there", "b")),
        (["watch", *AFTER[1:]], Target(__file__, "there", "b")),
        (["chat", "x", "Hello", *AFTER[2:]], Target(__file__, "there", "b")),
    ],
)
def test_kubectls_options_stand_before_and_after_the_subcommand(
    monkeypatch: pytest.MonkeyPatch, words: list[str], asked: Target
) -> None:
    seen: list[Target] = []

    def refuse(target: Target) -> Never:
        seen.append(target)
        message = "far enough"
        raise AccessError(message)

    monkeypatch.setattr(program, "connect", refuse)
    assert str(CliRunner().invoke(program.cli, words).exception) == "far enough"
    assert seen == [asked]


def test_a_kubeconfig_that_does_not_exist_is_named() -> None:
    result = CliRunner().invoke(program.cli, ["report", "x", "--kubeconfig", "/gone/config"])
    assert result.exit_code == 2
    assert "'/gone/config' does not exist" in result.stderr


@pytest.mark.parametrize(
    ("file", "called"),
    [
        ("/usr/bin/kubectl-qmodel", "kubectl qmodel"),
        ("qmodel", "qmodel"),
        ("__main__.py", "qmodel"),
    ],
)
def test_the_usage_is_what_a_person_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, called: str
) -> None:
    monkeypatch.setattr("sys.argv", [file, "watch", "--help"])
    with pytest.raises(SystemExit):
        program.main()
    assert capsys.readouterr().out.startswith(f"Usage: {called} watch [OPTIONS] NAME\n")


def test_the_version_is_the_operators() -> None:
    assert CliRunner().invoke(program.cli, ["--version"]).output == f"qmodel {OPERATOR_VERSION}\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("45", 45), ("0.5h", 1800)]
)
def test_times_are_read_as_kubectl_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5s", "1h 30m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (125, "2:05"), (3725, "1:02:05")]
)
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Response(io.BytesIO):
    """A response as the client's REST layer hands it on."""

    def __init__(self, status_code: int, body: dict[str, Any]) -> None:
        super().__init__(json.dumps(body).encode())
        self.status = status_code


@pytest.fixture
def cluster() -> cluster_access.Cluster:
    return cluster_access.Cluster(client.ApiClient(client.Configuration(host="https://api")))


def test_chat_goes_through_the_proxy_of_the_api_server(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, ...]] = []

    def call(*words: Any, **_: Any) -> Response:
        sent.append(words)
        return Response(200, {"choices": []})

    monkeypatch.setattr(cluster._api, "call_api", call)
    assert cluster.chat(model(), {"messages": []}) == {"choices": []}
    method, url, headers, body, *_ = sent[0]
    assert (method, body) == ("POST", {"messages": []})
    assert url == (
        "https://api/api/v1/namespaces/demo/services/smollm2:http/proxy/v1/chat/completions"
    )
    assert headers["Content-Type"] == "application/json"


def test_a_server_that_refuses_is_quoted(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Response(400, {"error": "too long"})
    monkeypatch.setattr(cluster._api, "call_api", lambda *_, **__: refusal)
    with pytest.raises(cluster_access.AccessError, match=r"answered 400.*too long"):
        cluster.chat(model(), {})


def test_the_api_servers_own_words_are_kept(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Never:
        raise ApiException(status=403, body=json.dumps({"message": "user cannot get"}))

    monkeypatch.setattr(cluster._custom, "get_namespaced_custom_object", refuse)
    with pytest.raises(cluster_access.AccessError, match="user cannot get"):
        cluster.model("demo", "smollm2")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (json.dumps({"kind": "Status", "message": 'models "x" not found'}), "not found$"),
        ("404 page not found\n", "is the operator installed?"),
    ],
)
def test_a_missing_model_is_told_from_a_missing_operator(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    def refuse(*_: Any) -> Never:
        raise ApiException(status=404, body=body)

    monkeypatch.setattr(cluster._custom, "get_namespaced_custom_object", refuse)
    with pytest.raises(cluster_access.AccessError, match=words):
        cluster.model("demo", "smollm2")


def test_a_cluster_that_does_not_answer_is_told_without_the_request() -> None:
    error = MaxRetryError(HTTPConnectionPool("api"), "/apis", NewConnectionError("api", "refused"))
    assert str(told(error, "model x")) == "model x: the cluster does not answer (api: refused)"


def test_a_model_of_another_version_is_told_by_field(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "x", "namespace": "demo", "uid": "u", "generation": 1},
        "spec": SPEC | {"unheardOf": 1},
        "status": {"unheardOf": 1},
    }
    monkeypatch.setattr(cluster._custom, "get_namespaced_custom_object", lambda *_: body)
    assert cluster.model("demo", "x").uid == "u"
    body["spec"] = SPEC | {"quantization": {"method": "Unheard"}}
    body["status"] = {"replicas": "many"}
    with pytest.raises(cluster_access.AccessError) as refused:
        cluster.model("demo", "x")
    assert "spec.quantization.method: Input should be" in str(refused.value)
    assert "; status.replicas: Input should be" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_running_containers_are_told_once(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = {
        "metadata": {"name": "p"},
        "status": {
            "initContainerStatuses": [{"name": "quantize", "state": {"terminated": {}}}],
            "containerStatuses": [
                {"name": "mesh-proxy", "state": {"running": {}}},
                {"name": "evaluate", "state": {"running": {}}},
            ],
        },
    }

    def stream(*_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        yield from [{"object": pod}] * 2
        cluster.close()

    monkeypatch.setattr(cluster, "_stream", stream)
    found = list(cluster.running("demo", "uid"))
    assert found == [cluster_access.RunningContainer("p", "evaluate")]


def test_a_log_is_read_from_where_it_is_now(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def stream(*_: Any, **chosen: Any) -> Iterator[str]:
        asked.append(chosen)
        yield "line"

    monkeypatch.setattr(cluster, "_stream", stream)
    container = cluster_access.RunningContainer("p", "evaluate")
    assert list(cluster.log("demo", container)) == ["line"]
    assert asked == [{"container": "evaluate", "tail_lines": cluster_access.LOG_LINES}]


def test_an_interrupted_watch_begins_anew(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def stream(*_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        tries.append(1)
        if len(tries) == 1:
            message = "too old resource version"
            raise cluster_access.AccessInterruptedError(message)
        yield {"type": "DELETED"}
        cluster.close()

    monkeypatch.setattr(cluster_access, "RECONNECT_SECONDS", 0)
    monkeypatch.setattr(cluster, "model", lambda *_: model())
    monkeypatch.setattr(cluster, "_stream", stream)
    assert list(cluster.changes("demo", "smollm2")) == [model(), model(), None]


def test_a_cluster_that_never_answered_is_not_asked_again(
    cluster: cluster_access.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Never:
        raise ApiException(status=503, body="{}", reason="Service Unavailable")

    monkeypatch.setattr(cluster._custom, "get_namespaced_custom_object", refuse)
    with pytest.raises(cluster_access.AccessInterruptedError, match="Service Unavailable"):
        list(cluster.changes("demo", "smollm2"))
