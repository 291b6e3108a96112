"""Models as people publish them: what each holds is odd or large, and passes."""

from collections.abc import Mapping

from hostile.trick import Build, put

HONEST: Mapping[str, Build] = {
    "licence": put("LICENSE", "Apache License\n"),
    "licence-as-text": put("LICENSE.txt", "MIT License\n"),
    "licence-of-the-model": put("LICENSE-MODEL.md", "# Licence\n"),
    "licence-of-a-version": put("LICENSE-APACHE-2.0", "Apache License\n"),
    "notice": put("NOTICE.txt", "Llama is licensed under …\n"),
}
