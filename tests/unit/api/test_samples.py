from pathlib import Path

import pytest
import yaml

from qmodel.api.spec import QuantizedModelSpec

FOLDER = Path(__file__).parents[3] / "manifests" / "samples"
SAMPLES = [path for path in sorted(FOLDER.rglob("*.yaml")) if path.parent.name != "overlay"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_understood(sample: Path) -> None:
    written = yaml.safe_load(sample.read_text())["spec"]
    spec = QuantizedModelSpec.model_validate(written)
    assert spec.quantization.method == written["quantization"]["method"]


def test_there_are_samples() -> None:
    assert "smollm2" in {path.stem for path in SAMPLES}
