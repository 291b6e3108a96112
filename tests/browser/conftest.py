"""Pages in a real Chromium that reaches no network."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser import chromium as installed
from browser import samples
from qmodel.cli.page import build

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = installed.path()
    if path is None:
        pytest.fail("these tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each sort, written once."""
    folder = tmp_path_factory.mktemp("pages")
    subjects = {"gguf": samples.q8(), "awq": samples.awq(), "nf4": samples.nf4()}
    on_gpu = samples.fp8()
    made = {name: build.report(subject, NOW) for name, subject in subjects.items()}
    made["fp8"] = build.report(on_gpu, NOW)
    made["compare-gpu"] = build.compare([on_gpu, samples.q8()], NOW)
    made["compare"] = build.compare(list(subjects.values()), NOW)
    made["evil"] = build.report(samples.evil(), NOW)
    made["evil-compare"] = build.compare([samples.evil(), samples.q8()], NOW)
    paths = {name: folder / f"{name}.html" for name in made}
    for name, text in made.items():
        paths[name].write_text(text, encoding="utf-8")
    return paths
