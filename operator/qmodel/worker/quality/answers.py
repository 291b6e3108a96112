"""What both models say to a few fixed prompts."""

from qmodel.worker.details import Answer
from qmodel.worker.progress import ProgressPart
from qmodel.worker.quality.pair import Pair

PROMPTS = (
    "Complete: The capital of France is",
    "How many days are in a week?",
    "Explain in one sentence why the sky is blue.",
    "Write a Python function that returns the larger of two numbers.",
)
MAX_TOKENS = 64
MAX_CHARACTERS = 2000
"""A token can be a long piece of text."""


def answers(pair: Pair, progress: ProgressPart) -> list[Answer]:
    """Return greedy answers side by side; none for a model without a chat template."""
    found = []
    for number, prompt in enumerate(PROMPTS):
        base = pair.base.answer(prompt, MAX_TOKENS)
        quantized = pair.quantized.answer(prompt, MAX_TOKENS)
        if base is None or quantized is None:
            break
        said = (base[:MAX_CHARACTERS], quantized[:MAX_CHARACTERS])
        found.append(Answer(prompt=prompt, base=said[0], quantized=said[1]))
        progress.at((number + 1) / len(PROMPTS), f"{number + 1} of {len(PROMPTS)} prompts answered")
    return found
