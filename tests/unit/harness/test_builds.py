"""What a person sees of a build that takes minutes."""

import pytest

from cluster import builds

BUILDAH = ["[2/3] STEP 4/9: RUN pip install", "STEP 1/2: FROM base"]
BUILDKIT = ["#9 [tools 2/7] RUN apt-get update", "#19 [code 5/5] RUN python3 -m compileall"]
OTHER = [
    "#1 [internal] load build definition",
    "#4 [code 1/5] FROM python:3.11",
    "#9 12.1 Get:1 packages",
    "Collecting torch",
    "",
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return what the time is."""
    now = [0.0]
    monkeypatch.setattr(builds.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("line", [*BUILDAH, *BUILDKIT])
def test_a_line_of_the_dockerfile_is_shown_once(
    line: str, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    tell = builds.teller("llamacpp")
    for said in (line, "", line, ""):
        tell(said)
        clock[0] += 1
    assert capsys.readouterr().err == f"    llamacpp: {line}\n", (
        "BuildKit says it again after another's"
    )


def test_what_need_not_be_done_again_is_not_shown(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    del clock  # it stands
    tell = builds.teller("llamacpp")
    for line in (BUILDKIT[0], "#9 sha256:58ab1", "#9 CACHED", "", BUILDKIT[1], "#19 0.3 compiling"):
        tell(line)
    assert capsys.readouterr().err == f"    llamacpp: {BUILDKIT[1]}\n"


@pytest.mark.parametrize("line", OTHER)
def test_of_what_a_step_says_a_line_is_shown_now_and_then(
    line: str, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    tell = builds.teller("llamacpp")
    tell(line)
    assert capsys.readouterr().err == ""
    for _ in range(3):
        clock[0] += builds.SILENT_SECONDS * 0.6
        tell(line)
    assert capsys.readouterr().err == (f"    llamacpp:   {line}\n" if line else "")
