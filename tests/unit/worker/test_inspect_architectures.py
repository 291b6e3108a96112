import io
import tarfile
from pathlib import Path

import pytest

from qmodel.worker.inspect import architectures, generate_architectures

CONVERTERS = """
TEXT_MODEL_MAP: dict[str, str] = {
    "LlamaForCausalLM": "llama",
    "BertModel": "bert",
    "T5ForConditionalGeneration": "t5",
    "Eagle3DraftModel": "llama",
}
MMPROJ_MODEL_MAP: dict[str, str] = {"VisionModel": "llava"}
"""
NAMES = '{ LLM_ARCH_LLAMA, "llama" }, { LLM_ARCH_BERT, "bert" }, { LLM_ARCH_QWEN3, "qwen3" },'


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "llama_cpp_python-1.2.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            "vendor/llama.cpp/conversion/__init__.py": CONVERTERS,
            "vendor/llama.cpp/src/llama-arch.cpp": NAMES,
        }.items():
            entry = tarfile.TarInfo(f"llama_cpp_python-1.2.3/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_only_what_continues_a_text_is_listed(sdist: Path) -> None:
    namespace: dict[str, object] = {}
    exec(generate_architectures.generate(sdist), namespace)  # noqa: S102  our own output
    assert namespace["SAFETENSORS"] == ("LlamaForCausalLM",)
    assert namespace["GGUF"] == ("llama", "qwen3")


def test_a_difference_is_told(sdist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_architectures, "TARGET", tmp_path / "architectures.py")
    assert generate_architectures.main([str(sdist)]) == 0
    assert generate_architectures.main([str(sdist), "--check"]) == 0
    (tmp_path / "architectures.py").write_text("old")
    assert generate_architectures.main([str(sdist), "--check"]) == 1


def test_the_list_has_what_people_use() -> None:
    used = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM", "Gemma3ForCausalLM"}
    assert used < set(architectures.SAFETENSORS)
    assert {"llama", "qwen3", "gemma3", "gpt-oss"} < set(architectures.GGUF)
    assert not {"BertModel", "T5ForConditionalGeneration"} & set(architectures.SAFETENSORS)
