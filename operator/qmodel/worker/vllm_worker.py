"""vLLM's CPU worker, given its KV cache in bytes.

vLLM compares the bytes asked with the container's limit less its usage, and refuses to start where
they do not fit. Usage counts page cache, which the kernel takes back: a container that has just
read its weights and libraries is at its limit with little of it needed, so that a server whose
limit was measured would never start. What a server needs was measured; here nothing is compared.
"""

import logging
from typing import Any

from vllm.v1.worker.cpu_worker import CPUWorker

from qmodel.worker.processes import own_bytes
from qmodel.worker.vllm_prompt_logprobs import compute_in_pieces
from qmodel.worker.vllm_unpacked import unpack_where_no_kernel_is

_log = logging.getLogger("vllm.qmodel")
"""Below vLLM's own logger, which has the handler."""


class Worker(CPUWorker):  # type: ignore[misc]  # its library is untyped here
    """A CPU worker that takes the KV bytes as they are given."""

    def load_model(self, *arguments: Any, **options: Any) -> None:
        """Load the weights and log what they hold: packed for the kernels, not as in the file."""
        unpack_where_no_kernel_is()
        before = own_bytes()
        super().load_model(*arguments, **options)
        compute_in_pieces(self.model_runner)
        _log.info("Weights hold %d bytes", max(0, own_bytes() - before))

    def determine_available_memory(self) -> int:
        """Return the bytes of the KV cache.

        Raises
        ------
        ValueError
            If none were given.
        """
        kv_bytes: int | None = self.cache_config.kv_cache_memory_bytes
        if kv_bytes is None:
            message = "--kv-cache-memory-bytes is required"
            raise ValueError(message)
        if self._should_warm_up_model():
            self.model_runner.warming_up_model()
        return kv_bytes
