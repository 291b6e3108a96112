"""GGUF as llama.cpp's own tools make it: METHOD SOURCE OUT SAMPLES."""

import json
import subprocess
import sys
from pathlib import Path

TYPES = {"q8-0": "Q8_0", "q4-k-m": "Q4_K_M", "q4-k-m-matrix": "Q4_K_M"}
HOME = Path("/opt/llama")
THREADS = "2"

method, source, out, samples = sys.argv[1:]
base, matrix = Path(out, "base.gguf"), Path(out, "matrix.dat")
options = []
convert = [sys.executable, HOME / "convert" / "convert_hf_to_gguf.py", source]
subprocess.run([*convert, "--outfile", base, "--outtype", "bf16"], check=True)
if method.endswith("matrix"):
    text = Path(out, "text.txt")
    lines = Path(samples).read_text().splitlines()
    text.write_text("\n\n".join(json.loads(line)["text"] for line in lines))
    tool = [HOME / "bin" / "llama-imatrix", "--model", base, "--file", text]
    sizes = ["--ctx-size", "256", "--batch-size", "256", "--threads", THREADS]
    files = ["--output-file", matrix, "--output-format", "dat"]
    subprocess.run([*tool, *files, *sizes], check=True)
    options = ["--imatrix", matrix]
quantize = [HOME / "bin" / "llama-quantize", *options, base]
target = Path(out, f"model-{TYPES[method]}.gguf")
subprocess.run([*quantize, target, TYPES[method], THREADS], check=True)
base.unlink()
