import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from qmodel.worker.inspect import architectures, generate_architectures
from qmodel.worker.inspect.vllm_architectures import VLLM

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


def test_what_vllm_serves_is_read_from_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "vllm-1.2.3-py3-none-any.whl"
    registry = (
        '_TEXT_GENERATION_MODELS = {"LlamaForCausalLM": ("llama", "L"), "EagleDraft": ("e", "E")}\n'
        '_MULTIMODAL_MODELS = {"WhisperForConditionalGeneration": ("w", "W")}\n'
        '_EMBEDDING_MODELS = {"BertModel": ("bert", "B")}\n'
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vllm/model_executor/models/registry.py", registry)
    monkeypatch.setattr(generate_architectures, "VLLM_TARGET", tmp_path / "vllm_architectures.py")
    assert generate_architectures.main([str(wheel)]) == 0
    assert generate_architectures.main([str(wheel), "--check"]) == 0
    written = (tmp_path / "vllm_architectures.py").read_text()
    assert "vllm-1.2.3" in written
    assert "LlamaForCausalLM" in written
    assert not {"EagleDraft", "Whisper", "Bert"} & set(written.replace('"', " ").split())


def test_the_list_of_vllm_has_what_people_use() -> None:
    used = {"LlamaForCausalLM", "Qwen3MoeForCausalLM", "Gemma3ForCausalLM", "GptOssForCausalLM"}
    assert used < set(VLLM)
    assert not {"BertModel", "WhisperForConditionalGeneration"} & set(VLLM)
