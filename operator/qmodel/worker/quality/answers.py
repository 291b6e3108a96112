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
    base = pair.base.answers(PROMPTS, MAX_TOKENS)
    progress.at(0.5, "the source answered the prompts")
    quantized = pair.quantized.answers(PROMPTS, MAX_TOKENS)
    progress.at(1.0, "the artifact answered the prompts")
    if base is None or quantized is None:
        return []
    return [
        Answer(prompt=prompt, base=said[:MAX_CHARACTERS], quantized=echoed[:MAX_CHARACTERS])
        for prompt, said, echoed in zip(PROMPTS, base, quantized, strict=True)
    ]
