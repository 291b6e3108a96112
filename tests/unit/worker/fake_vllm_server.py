"""Stands in for vLLM's server where only its protocol and its ways to die matter.

What is faked is the engine's side of our own boundary; the real server is measured end to end.
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODE, LOG, PORT = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
START = """\
(Worker pid=7) INFO 11-23 09:13:20 [vllm_worker.py:28] Weights hold 444596224 bytes
(EngineCore pid=6) INFO 11-23 09:13:21 [kv_cache_utils.py:2327] CPU KV cache size: 2,176 tokens, \
Maximum concurrency for 1,024 tokens per request: 2.00x
"""
DEATH = """\
(EngineCore pid=6) ERROR 11-23 09:13:21 [core.py:1130]     raise ValueError(
(EngineCore pid=6) ERROR 11-23 09:13:21 [core.py:1130] ValueError: To serve at least one request
"""
OUTCRY = """\
(APIServer pid=5)   File "entry.py", line 1, in <module>
(APIServer pid=5) RuntimeError: Engine core initialization failed. See root cause above.
"""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the log to the engine's lines."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["model"] == "m"
        if self.path == "/tokenize":
            self._answer({"tokens": list(range(300))})
        elif self.path == "/v1/completions":
            self._complete(body)
        elif MODE == "no-template":
            self.send_error(400, "default chat template is no longer allowed")
        else:
            self._stream([{"choices": [{"delta": {"content": "Paris"}}]}])

    def _complete(self, body: dict[str, Any]) -> None:
        prompt, generate = len(body["prompt"]), body["max_tokens"]
        with LOG.open("a") as log:
            log.write(f"{prompt}+{generate}\n")
        if MODE == "engine-dies-first":
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"EngineCore encountered an issue")
            threading.Thread(target=_leave).start()
            return
        if MODE == "engine-dies":
            self._stream([{"error": {"message": "EngineCore encountered an issue"}}])
            threading.Thread(target=_leave).start()
            return
        tokens = [{"choices": [{"text": "x"}]}] * (generate // 2)
        usage = {"choices": [], "usage": {"completion_tokens": generate}}
        self._stream([*tokens, usage])

    def _stream(self, events: list[Any]) -> None:
        self.send_response(200)
        self.end_headers()
        for event in events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def _answer(self, body: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


def _leave() -> None:
    """Exit with status 0 a moment later, as the API server does once its engine died."""
    time.sleep(0.2)
    os._exit(0)


def main() -> None:
    if MODE == "start-fails":
        print(DEATH + "(APIServer pid=5) Traceback\n" * 20 + OUTCRY, flush=True)
        sys.exit(1)
    # An engine core that outlives its API server, as the real one can, and holds the log open.
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    LOG.with_suffix(".engine").write_text(str(engine.pid))
    print(START, flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


main()
