"""Stands in for llama-server where only its protocol matters: no model, no memory.

What is faked is the engine's side of our own boundary; the real server is measured end to end.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODE, LOG, PORT = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
BUFFERS = """\
0.00.298.436 I load_tensors:          CPU model buffer size =    91.27 MiB
0.00.455.579 I llama_kv_cache:        CPU KV buffer size =    45.00 MiB
0.00.487.681 I llama_kv_cache: size =   45.00 MiB (  1024 cells,  30 layers,  2/2 seqs), K (f16):\
   22.50 MiB, V (f16):   22.50 MiB
"""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the log to the buffers."""

    def do_GET(self) -> None:
        self._answer({"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self._answer({"tokens": list(range(300))})
        elif self.path == "/completion":
            self._complete(body)
        elif MODE == "no-template":
            self._answer({"error": "template"}, 500)
        else:
            self._stream([{"choices": [{"delta": {"content": "Paris"}}]}])

    def _complete(self, body: dict[str, Any]) -> None:
        if MODE == "killed-serving":
            os.kill(os.getpid(), signal.SIGKILL)
        prompt, generate = len(body["prompt"]), body["n_predict"]
        with LOG.open("a") as log:
            log.write(f"{prompt}+{generate}\n")
        halves = [{"prompt_progress": {"total": prompt, "processed": prompt // 2}}]
        tokens = [{"content": "x", "stop": False}] * generate
        self._stream([*halves, *tokens, {"content": "", "stop": True}])

    def _stream(self, events: list[Any]) -> None:
        self.send_response(200)
        self.end_headers()
        for event in events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def _answer(self, body: Any, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


def main() -> None:
    if "--version" in sys.argv:
        sys.exit("version: 0.5.0-dev (build 0, commit unknown)\nbuilt with a compiler")
    if MODE == "refuse":
        sys.exit("error: invalid argument")
    if MODE == "killed-loading":
        os.kill(os.getpid(), signal.SIGKILL)
    assert sys.argv[-2:] == ["--verbosity", "4"]
    print(BUFFERS, flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


main()
