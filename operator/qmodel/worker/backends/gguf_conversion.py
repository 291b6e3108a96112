"""Conversion to GGUF by llama.cpp's own converter, whose memory stays bounded: it is lazy."""

import re
import sys
from pathlib import Path

from safetensors import safe_open

from qmodel.worker.backends.llama_model import LlamaModel
from qmodel.worker.backends.offline import ENVIRONMENT
from qmodel.worker.backends.tools import LLAMA_HOME, run_tool
from qmodel.worker.errors import EngineFailed, UnsafeModel, UnsupportedModel
from qmodel.worker.files import alone, require_space, staged
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.store import source_gguf

BASE_NAME = "model.gguf"

_WRITING = re.compile(r"Writing:\s+(\d+)%")
_OUTTYPES = {"F32": "f32", "F16": "f16", "BF16": "bf16"}


def convert(source: Path, store: Path, progress: Progress | ProgressPart) -> Path:
    """Return the unquantized model as GGUF; a source that is GGUF is returned as it is.

    The conversion is made once for each source and shared by quantization and evaluation.

    Parameters
    ----------
    source
        Folder with the verified source files, named by their digest.
    store
        Folder for conversions, on the same volume.

    Raises
    ------
    UnsafeModel
        If the folder holds Python code: the converter would let a tokenizer run it.
    UnsupportedModel
        If llama.cpp does not know the architecture.
    """
    if model := source_gguf(source):
        return model
    target = store / source.name / BASE_NAME
    with alone(target.parent):
        if not target.exists():
            _convert(source, target, progress)
    return target


def _convert(source: Path, target: Path, progress: Progress | ProgressPart) -> None:
    """Convert a source that holds nothing but data."""
    if code := next(source.rglob("*.py"), None):
        message = f"the source holds Python code ({code.name}), which could run while converting"
        raise UnsafeModel(message)
    require_space(target, sum(file.stat().st_size for file in source.glob("*.safetensors")))
    with staged(target.parent) as folder:
        _run_converter(source, folder / BASE_NAME, progress)
        _require_chat_template(source, folder / BASE_NAME)


def _run_converter(source: Path, out: Path, progress: Progress | ProgressPart) -> None:
    """Run llama.cpp's converter, which needs no network."""
    lines: list[str] = []

    def on_line(line: str) -> None:
        if found := _WRITING.search(line):
            progress.at(int(found[1]) / 100, "converting to GGUF")
        elif "is not supported" in line or "not recognized" in line:
            lines.append(line)

    script = LLAMA_HOME / "convert" / "convert_hf_to_gguf.py"
    argv = [sys.executable, str(script), str(source), "--outfile", str(out)]
    offline = ENVIRONMENT | {"PYTHONUNBUFFERED": "1"}
    try:
        run_tool([*argv, "--outtype", _outtype(source)], on_line, offline)
    except EngineFailed as error:
        if lines:
            message = f"llama.cpp cannot convert this model: {lines[0]}"
            raise UnsupportedModel(message) from error
        raise


def _outtype(source: Path) -> str:
    """Return the converter's name for the type that most of the source is stored in.

    Its own `auto` would round float32 sources to 16 bits, and with them what quality is judged
    against.
    """
    sizes: dict[str, int] = {}
    for path in source.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  not a mapping
                tensor = file.get_slice(name)
                count = 1
                for dimension in tensor.get_shape():
                    count *= dimension
                sizes[tensor.get_dtype()] = sizes.get(tensor.get_dtype(), 0) + count
    return _OUTTYPES.get(max(sizes, key=lambda dtype: sizes[dtype], default=""), "auto")


def _require_chat_template(source: Path, converted: Path) -> None:
    """Check that the conversion kept the chat template."""
    config = source / "tokenizer_config.json"
    expected = (source / "chat_template.jinja").exists() or (
        config.exists() and '"chat_template"' in config.read_text(encoding="utf-8")
    )
    with LlamaModel(converted, 1, vocabulary_only=True) as model:
        if expected and not model.chat_template:
            message = "the conversion to GGUF lost the model's chat template"
            raise EngineFailed(message)
