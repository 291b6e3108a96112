import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from qmodel.worker import drain

LLAMA = """\
# HELP llamacpp:requests_processing Number of requests processing
llamacpp:requests_processing {}
llamacpp:requests_deferred 0
"""
VLLM = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="m"}} {}.0
vllm:num_requests_waiting{{engine="0",model_name="m"}} 0.0
vllm:num_requests_waiting_by_reason{{engine="0",model_name="m",reason="capacity"}} 0.0
"""


class Server(ThreadingHTTPServer):
    """Answers /metrics as an engine does, with the next of the given counts."""

    counts: list[int]
    loads: list[int]
    template: str

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, Server)
            if self.path == "/load":
                self._load(self.server)
                return
            counts = self.server.counts
            count = counts.pop(0) if counts else 0
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.template.format(count).encode())

        def _load(self, server: "Server") -> None:
            """Answer as vLLM does; llama-server has no such page."""
            self.send_response(200 if server.template == VLLM else 404)
            self.end_headers()
            if server.template == VLLM:
                self.wfile.write(
                    b'{"server_load":%d}' % (server.loads.pop(0) if server.loads else 0)
                )

        def log_message(self, *_: object) -> None:
            pass


@pytest.fixture(params=[LLAMA, VLLM])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Server.Handler) as found:
        found.template, found.loads = request.param, []
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "ENDPOINT_SECONDS", 0.0)
    monkeypatch.setattr(drain, "_POLL_SECONDS", 0.0)


def test_it_waits_until_nothing_is_computed(server: Server) -> None:
    server.counts = [2, 1, 0, 7]
    assert drain.main([str(server.server_port), "30"]) == 0
    assert server.counts == [7]


def test_it_gives_up_at_the_deadline(server: Server) -> None:
    server.counts = [1] * 1_000_000
    assert drain.main([str(server.server_port), "0"]) == 0


def test_a_server_that_counts_nothing_may_be_busy(server: Server) -> None:
    server.counts = []
    server.template = "# nothing is counted\n"
    assert drain.is_busy(server.server_port)


@pytest.mark.parametrize("server", [VLLM], indirect=True)
def test_a_request_that_vllm_has_not_begun_to_compute_counts(server: Server) -> None:
    server.counts, server.loads = [0, 0, 0], [1, 1, 0]
    assert drain.main([str(server.server_port), "30"]) == 0
    assert server.counts == []


def test_a_server_that_takes_its_time_to_answer_may_be_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "_ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert drain.is_busy(silent.getsockname()[1])


def test_a_server_that_is_gone_has_nothing_left_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not drain.is_busy(port)
