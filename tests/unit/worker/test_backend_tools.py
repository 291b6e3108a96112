import struct
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from qmodel.worker.backends import importance_matrix
from qmodel.worker.backends.tools import run_tool
from qmodel.worker.errors import DiskFull, EngineFailed, OutOfMemory
from qmodel.worker.progress import Progress


def run_python(code: str) -> list[str]:
    lines: list[str] = []
    run_tool([sys.executable, "-c", code], lines.append, {"GREETING": "hello"})
    return lines


def test_lines_end_with_newline_or_carriage_return() -> None:
    code = r"import os,sys; sys.stderr.write(' 1%\r 2%\r\n'); print(os.environ['GREETING'], end='')"
    assert run_python(code) == ["1%", "2%", "hello"]


def test_killed_tool_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="memory limit"):
        run_python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_full_disk_is_named() -> None:
    with pytest.raises(DiskFull):
        run_python("raise OSError(28, 'No space left on device')")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("print('broken'); raise SystemExit(3)", "exit status 3:\nbroken"),
        ("import os; print('broken', flush=True); os.abort()", "SIGABRT:\nbroken"),
    ],
)
def test_failed_tool_shows_its_last_lines(code: str, how: str) -> None:
    with pytest.raises(EngineFailed, match=how):
        run_python(code)


def write_matrix(path: Path, entries: dict[str, tuple[int, list[float]]]) -> None:
    data = struct.pack("<i", len(entries))
    for name, (calls, values) in entries.items():
        data += struct.pack("<i", len(name)) + name.encode()
        data += struct.pack("<ii", calls, len(values)) + struct.pack(f"<{len(values)}f", *values)
    path.write_bytes(data + struct.pack("<ii", 3, 4) + b"text")


def test_importance_matrix_is_averaged_over_calls(tmp_path: Path) -> None:
    path = tmp_path / "matrix"
    write_matrix(path, {"blk.0.attn_q.weight": (2, [2.0, 6.0]), "output.weight": (0, [5.0])})
    matrix = importance_matrix.read(path)
    assert np.array_equal(matrix["blk.0.attn_q.weight"], [1.0, 3.0])
    assert np.array_equal(matrix["output.weight"], [5.0])


def test_cut_off_importance_matrix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "matrix"
    write_matrix(path, {"output.weight": (1, [1.0, 2.0])})
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(EngineFailed, match="cut off"):
        importance_matrix.read(path)


def test_progress_of_the_importance_matrix(tmp_path: Path) -> None:
    out = tmp_path / "matrix"
    tool = tmp_path / "llama-imatrix"
    tool.write_text(
        f"#!{sys.executable}\n"
        "print('0.01.234 I compute_imatrix: computing over 4 chunks, n_ctx=256')\n"
        "print('[1]12.3456,[2]11.2345,', end='')\n"
        f"open({str(out)!r}, 'wb').write((0).to_bytes(4, 'little'))\n"
    )
    tool.chmod(0o755)
    stream = StringIO()
    part = Progress("quantize", stream).part(0.0, 1.0)
    assert importance_matrix.compute(tool, tmp_path / "base", tmp_path, out, 2, part) == {}
    assert '"percent":50' in stream.getvalue()
