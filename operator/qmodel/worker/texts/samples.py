"""Text that the unquantized model draws itself, with a fixed seed.

It lies where the model's own distribution does, whatever the model was made for, and needs no
data set. For calibration it is consistently competitive with real data (Williams and Chrysostomou
and Aletras, "Self-calibration for Language Model Quantization and Pruning", arXiv:2410.17170).
"""

from dataclasses import dataclass

import numpy as np

from qmodel.worker.backends import LanguageModel


@dataclass(frozen=True)
class Recipe:
    """What to draw: one sequence for each opener, at temperature 1."""

    seed: int
    openers: tuple[str, ...]
    length: int
    """Tokens of a sequence, its opener included."""

    def draw(self, model: LanguageModel) -> list[list[int]]:
        """Return the sequences of token ids."""
        return model.draw(self.openers, self.length, np.random.default_rng(self.seed))


EVALUATION = Recipe(
    seed=1,
    openers=("The", "In", "My", "What", "def", "1.", "She", "It"),
    length=128,
)
CALIBRATION = Recipe(
    seed=2,
    openers=("A", "When", "We", "How", "import", "# ", "He", "There"),
    length=256,
)
"""Another seed and other openers: a model is never judged on what it was calibrated on."""
