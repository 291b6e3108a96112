"""Log probabilities of a prompt, in pieces.

vLLM computes those of a whole batch at once: 2048 tokens times the vocabulary in three copies,
700 MB for SmolLM2. One request for them (what evaluation harnesses send) would end a server whose
limit was measured. In pieces they fit into what the batch itself took just before.
"""

from typing import Any

import torch

PIECE_BYTES = 2**23
LOGIT_BYTES = 9
"""Of one token and one word: as computed (up to 4), its logarithm (4), a comparison (1)."""


def compute_in_pieces(runner: Any) -> None:
    """Make a model runner ask itself for a few tokens at a time.

    Its own method goes on where another left off, for prompts that come in several batches; so it
    is called as if each piece were a batch (vllm/v1/worker/gpu_model_runner.py, 0.32.0).
    """
    of_batch = runner._get_prompt_logprobs_dict  # noqa: SLF001  the only place to bound it
    most = max(1, PIECE_BYTES // (LOGIT_BYTES * runner.model_config.get_vocab_size()))

    def of_pieces(hidden_states: torch.Tensor, scheduled_tokens: dict[str, int]) -> dict[str, Any]:
        """Return the log probabilities of the prompts that this batch (tokens, width) ends."""
        complete: dict[str, Any] = {}
        for name in [name for name in runner.num_prompt_logprobs if name in scheduled_tokens]:
            request, tokens = runner.requests[name], scheduled_tokens[name]
            before = request.num_computed_tokens
            for done in range(0, tokens, most):
                request.num_computed_tokens = before + done
                piece = {name: min(most, tokens - done)}
                complete |= of_batch(hidden_states[done:], piece)
            request.num_computed_tokens = before
        return complete

    runner._get_prompt_logprobs_dict = of_pieces  # noqa: SLF001
