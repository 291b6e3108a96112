"""What the administrator decided for all models."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Images:
    """Images of this installation."""

    operator: str
    """Runs inspect and fetch."""
    llamacpp: str
    """Serves and measures GGUF."""
    llamacpp_cuda: str
    """The same on NVIDIA GPUs."""
    llamacpp_worker: str
    """Quantizes to GGUF and evaluates it; takes sources as they are."""
    quantizer: str
    """Quantizes by llm-compressor and bitsandbytes; evaluates what is not GGUF."""
    autoawq: str
    """Quantizes by AutoAWQ."""
    autogptq: str
    """Quantizes by AutoGPTQ."""
    vllm: str
    """Serves and measures by vLLM on a CPU."""
    vllm_cuda: str
    """The same on NVIDIA GPUs."""

    def named(self, name: str) -> str:
        """Return an image by the name of its field; empty where the installation has none."""
        return str(getattr(self, name))


@dataclass(frozen=True, slots=True)
class ConfigMapFile:
    """A key of a ConfigMap, mounted as a file."""

    config_map: str
    key: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What the administrator set for all models."""

    images: Images
    hub_endpoint: str
    """The only Hugging Face endpoint that tokens are sent to."""
    hub_allow_insecure: bool = False
    """Whether an http endpoint may be used."""
    sources_allow_insecure: bool = False
    """Whether S3 endpoints and registries may be http."""
    source_env: dict[str, str] = field(default_factory=dict)
    """Environment of the steps that reach a source over the network, such as HTTPS_PROXY."""
    ca_bundle: ConfigMapFile | None = None
    """Certificates that these steps trust; the ConfigMap lies in each model's namespace."""
