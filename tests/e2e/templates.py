"""What a chat template makes of a question, by the same library as the engines'."""

import json

from jinja2.sandbox import ImmutableSandboxedEnvironment

from model import checkpoint


def templated(question: str) -> str:
    """Return a question in the chat template of SmolLM2, cut or whole."""
    config = json.loads((checkpoint.make() / "tokenizer_config.json").read_text())
    template = ImmutableSandboxedEnvironment().from_string(config["chat_template"])
    messages = [{"role": "user", "content": question}]
    return template.render(messages=messages, add_generation_prompt=True)
