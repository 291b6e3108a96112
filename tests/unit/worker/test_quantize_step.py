"""The step `quantize` with method None, and with a backend of the test's own."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sparse_models import write_model

from qmodel.api.methods import Backend
from qmodel.worker import companions, quantize
from qmodel.worker.backends import registry
from qmodel.worker.errors import ArtifactDamaged, EngineFailed, SourceInvalid
from qmodel.worker.manifest import verify
from qmodel.worker.progress import Progress
from qmodel.worker.recipe_words import in_words
from qmodel.worker.report import Artifact
from qmodel.worker.task import QuantizeTask, Recipe

NONE = {"method": "None"}
FP8 = {"method": "FP8", "backend": "LLMCompressor", "ignore": ["lm_head"]}


def task(volume: Path, recipe: dict[str, Any], **changes: Any) -> QuantizeTask:
    fields = {
        "sourceDirectory": str(volume / "sources" / "digest"),
        "directory": str(volume / "revision"),
        "revision": "revision",
        "recipe": recipe,
        "sourceRepository": "owner/name",
        "sourceRevision": "0123abcd",
        "threads": 1,
    }
    return QuantizeTask.model_validate(fields | changes)


def run(asked: QuantizeTask) -> Artifact:
    return quantize.run(asked, progress())


def progress() -> Progress:
    return Progress("quantize", StringIO())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_model(tmp_path / "sources" / "digest")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "generation_config.json").write_text('{"temperature": 0.6}')
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model\n")
    (folder / "manifest.json").write_text("{}")
    return folder


class Library:
    """Stands for a library that writes weights, and alters the tokenizer beside them."""

    takes_samples = False
    makes_folder = True

    def quantize(self, _recipe: Recipe, _source: Path, out: Path, *_: object) -> None:
        write_model(out)
        (out / "tokenizer.json").write_text('{"altered": true}')
        (out / "special_tokens_map.json").write_text("{}")

    def versions(self) -> dict[str, Any]:
        return {"library": "1.0"}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda _: Library())


def test_a_folder_is_taken_as_it_is_by_links(tmp_path: Path, source: Path) -> None:
    report = run(task(tmp_path, NONE))
    artifact = tmp_path / "revision"
    assert report.model_path == "."
    assert (artifact / "model.safetensors").samefile(source / "model.safetensors")
    assert (report.calibration, report.quantized_parameters) == (None, None)
    assert report.weight_bytes == (source / "model.safetensors").stat().st_size
    assert verify(artifact, progress()).digest == report.digest
    assert not (artifact / "README.md").samefile(source / "README.md")


@pytest.mark.usefixtures("source", "library")
def test_an_artifact_of_ours_is_taken_as_it_is_and_stays_whole(tmp_path: Path) -> None:
    run(task(tmp_path, FP8))
    first, second = tmp_path / "revision", tmp_path / "second"
    run(task(tmp_path, NONE, sourceDirectory=str(first), directory=str(second), revision="second"))
    verify(first, progress())
    verify(second, progress())
    assert not {"parameters.json", "details.json"} & {path.name for path in second.iterdir()}


def test_a_gguf_file_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "sources" / "digest"
    folder.mkdir(parents=True)
    (folder / "model-Q4.gguf").write_bytes(b"GGUF")
    report = run(task(tmp_path, NONE))
    assert report.model_path == "model-Q4.gguf"
    assert (tmp_path / "revision/model-Q4.gguf").samefile(folder / "model-Q4.gguf")


@pytest.mark.usefixtures("source")
def test_a_second_model_with_the_same_revision_reuses_the_artifact(tmp_path: Path) -> None:
    first = run(task(tmp_path, NONE))
    written = (tmp_path / "revision/manifest.json").stat().st_mtime_ns
    second = run(task(tmp_path, NONE))
    assert not first.reused
    assert second == first.model_copy(update={"reused": True})
    assert (tmp_path / "revision/manifest.json").stat().st_mtime_ns == written


@pytest.mark.usefixtures("source")
def test_a_damaged_artifact_is_made_again(tmp_path: Path) -> None:
    first = run(task(tmp_path, NONE))
    (tmp_path / "revision/README.md").write_text("damaged")
    assert run(task(tmp_path, NONE)).digest == first.digest


@pytest.mark.usefixtures("source", "library")
def test_companions_are_the_sources_own(tmp_path: Path, source: Path) -> None:
    report = run(task(tmp_path, FP8))
    artifact = tmp_path / "revision"
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (artifact / name).read_bytes() == (source / name).read_bytes()
    assert not (artifact / "special_tokens_map.json").exists()
    assert report.kept_parameters == 128 * 64 + 2 * 32 * 64
    assert {path.stat().st_mode & 0o777 for path in artifact.iterdir()} == {0o644}


@pytest.mark.usefixtures("source", "library")
def test_an_artifact_says_where_it_came_from(tmp_path: Path) -> None:
    run(task(tmp_path, FP8))
    provenance = json.loads((tmp_path / "revision/provenance.json").read_text())
    assert provenance == {
        "source": {"repository": "owner/name", "revision": "0123abcd"},
        "revision": "revision",
        "recipe": {**FP8, "maxShardBytes": 5_000_000_000},
        "libraries": {"library": "1.0"},
    }
    card = (tmp_path / "revision/README.md").read_text()
    assert card.startswith("---\nbase_model: owner/name\nbase_model_relation: quantized\n")
    assert "license: apache-2.0\n---\n\n# owner/name, FP8\n" in card
    assert "vllm serve ." in card
    assert "| library | 1.0 |" in card


@pytest.mark.usefixtures("source", "library")
def test_samples_are_drawn_only_for_a_backend_that_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    monkeypatch.setattr(quantize, "_samples", lambda *_: drawn.append("samples"))
    recipe = {**FP8, "calibration": {"samples": 8}}
    run(task(tmp_path, recipe))
    assert drawn == []
    monkeypatch.setattr(Library, "takes_samples", True)
    run(task(tmp_path, recipe, directory=str(tmp_path / "another")))
    assert drawn == ["samples"]


@pytest.mark.usefixtures("library")
def test_a_source_without_a_tokenizer_is_refused(tmp_path: Path, source: Path) -> None:
    (source / "tokenizer.json").unlink()
    with pytest.raises(SourceInvalid, match="no tokenizer"):
        run(task(tmp_path, FP8))
    assert not (tmp_path / "revision").exists()


@pytest.mark.usefixtures("source")
def test_what_failed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        message = "no"
        raise EngineFailed(message)

    monkeypatch.setattr(registry, "load", lambda _: Library())
    monkeypatch.setattr(Library, "quantize", fail)
    with pytest.raises(EngineFailed):
        run(task(tmp_path, FP8))
    assert {entry.name for entry in tmp_path.iterdir()} == {"sources", ".revision.lock"}


def test_an_altered_companion_is_found(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    write_model(out)
    companions.copy(source, out)
    (out / "tokenizer.json").write_text("{ }")
    with pytest.raises(ArtifactDamaged, match=r"tokenizer.json .* not the source's"):
        companions.check(source, out)
    (out / "tokenizer.json").unlink()
    with pytest.raises(ArtifactDamaged, match=r"tokenizer.json is in only one"):
        companions.check(source, out)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"method": "AWQ", "awq": {"groupSize": 64}}, "AWQ, 4 bits, groups of 64, asymmetric"),
        (
            {"method": "GPTQ", "gptq": {"groupSize": -1, "descActOrder": True}},
            "GPTQ, 4 bits, one group a row, symmetric, by activation order",
        ),
        ({"method": "BitsAndBytes", "bitsAndBytes": {}}, "bitsandbytes NF4, double quantization"),
        ({"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}}, "bitsandbytes INT8"),
        (
            {"method": "GGUF", "gguf": {"type": "Q2_K_S", "importanceMatrix": True}},
            "GGUF Q2_K_S, with an importance matrix",
        ),
        ({"method": "NVFP4"}, "NVFP4"),
        ({"method": "None"}, "as it is"),
    ],
)
def test_a_recipe_in_words(recipe: dict[str, Any], words: str) -> None:
    assert in_words(Recipe.model_validate(recipe)) == words


def test_every_backend_has_a_module() -> None:
    folder = Path(registry.__file__).parent
    for backend in Backend:
        text = (folder / f"{registry.MODULES[backend]}.py").read_text()
        assert f"class {backend.value}:" in text
