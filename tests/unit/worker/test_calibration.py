import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from qmodel.worker.calibration import (
    MAX_ANSWER_TOKENS,
    SAMPLES_FILE,
    Message,
    OnProgress,
    Sample,
    calibration_set,
    read_samples,
)
from qmodel.worker.errors import TextInvalid
from qmodel.worker.task import CalibrationTask
from qmodel.worker.texts import prompts, user


class Characters:
    """A model whose tokens are characters; it answers every prompt with dots.

    Its chat template brings a system prompt of so many characters, unless it has none, and may
    refuse another system message.
    """

    def __init__(self, system: int | None = None, *, refuses_system: bool = False) -> None:
        self._system, self._refuses_system = system, refuses_system

    def encode(self, sample: Sample) -> list[int]:
        said = [f"<{message['role']}>{message['content']}" for message in sample.messages]
        return list(map(ord, sample.text or "".join(said)))

    def prompt(self, messages: Sequence[Message]) -> list[int] | None:
        given = messages[0]["content"] if messages[0]["role"] == "system" else None
        if self._system is None or (given is not None and self._refuses_system):
            return None
        system = "s" * self._system if given is None else given
        return list(map(ord, f"<{system}>{messages[-1]['content']}"))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def draw(
        self, begun: Sequence[list[int]], count: int, seed: int, on_progress: OnProgress
    ) -> list[list[int]]:
        assert seed == 2
        on_progress(1.0)
        return [tokens + [ord(".")] * count for tokens in begun]


ANSWER = "." * MAX_ANSWER_TOKENS


def calibrate(
    folder: Path,
    told: list[float] | None = None,
    model: Characters | None = None,
    **wanted: object,
) -> tuple[str, list[str]]:
    """Return the kind, and the samples as text."""
    task = CalibrationTask.model_validate(wanted)
    steps = told if told is not None else []
    found = calibration_set(task, model or Characters(), folder, steps.append)
    return found.kind, [Characters().decode(tokens) for tokens in found.sequences]


def user_file(folder: Path, *lines: object) -> str:
    path = folder / "text"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return str(path)


def test_a_model_draws_an_answer_for_as_many_prompts_as_are_wanted(tmp_path: Path) -> None:
    told: list[float] = []
    kind, drawn = calibrate(tmp_path, told, samples=100)
    assert kind == "SelfDrawn"
    assert len(drawn) == 100
    assert drawn[0] == prompts()[0] + ANSWER == drawn[len(prompts())]
    assert told == [1.0]


def test_drawn_samples_are_kept_and_identified_by_what_is_kept(tmp_path: Path) -> None:
    task = CalibrationTask(samples=16)
    found = calibration_set(task, Characters(), tmp_path, lambda _: None)
    content = (tmp_path / SAMPLES_FILE).read_bytes()
    kept = read_samples(content.decode())
    assert [tuple(Characters().encode(sample)) for sample in kept] == list(found.sequences)
    assert found.digest == sha256(content).hexdigest()


@pytest.mark.parametrize("length", [64, 130, 300, 512])
@pytest.mark.parametrize("system", [None, 0, 31, 600])
def test_drawn_samples_are_short_enough_and_half_of_them_may_be_drawn(
    tmp_path: Path, length: int, system: int | None
) -> None:
    _, drawn = calibrate(tmp_path, model=Characters(system), samples=48, maxSequenceLength=length)
    assert max(map(len, drawn)) <= length
    answers = {len(text) - len(text.rstrip(".")) for text in drawn}
    assert min(answers) >= min(MAX_ANSWER_TOKENS, length // 2)


@pytest.mark.parametrize("system", [0, 31, 200])
def test_a_system_prompt_that_leaves_room_is_kept(tmp_path: Path, system: int) -> None:
    _, drawn = calibrate(tmp_path, model=Characters(system), samples=48)
    assert drawn == [f"<{'s' * system}>{question}{ANSWER}" for question in prompts()]


@pytest.mark.parametrize("system", [560, 20_000])
def test_a_system_prompt_that_takes_the_room_of_the_answer_is_left_out(
    tmp_path: Path, system: int
) -> None:
    _, drawn = calibrate(tmp_path, model=Characters(system), samples=48)
    assert drawn == [f"<>{question}{ANSWER}" for question in prompts()]


def test_a_template_that_always_takes_too_much_room_is_left_out(tmp_path: Path) -> None:
    stubborn = Characters(560, refuses_system=True)
    _, drawn = calibrate(tmp_path, model=stubborn, samples=48)
    assert drawn == [question + ANSWER for question in prompts()]


def test_a_user_gives_texts_and_conversations_as_json_lines(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    file = user_file(tmp_path, {"text": "one"}, "", {"messages": talk}, {"text": "and three"})
    kind, found = calibrate(tmp_path, file=file, samples=3, maxSequenceLength=5)
    assert kind == "User"
    assert found == ["one", "<user", "and t"]
    assert not (tmp_path / SAMPLES_FILE).exists()


def test_plain_text_is_cut_into_samples_of_one_length(tmp_path: Path) -> None:
    file = user_file(tmp_path, "first passage", "", "second")
    _, found = calibrate(tmp_path, file=file, samples=3, maxSequenceLength=6)
    assert found == ["first ", "passag", "esecon"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: Expecting property name"),
        ("[1]", "line 2: neither"),
        ('{"text": 3}', "line 2: neither"),
        ('{"text": " "}', "line 2: neither"),
        ('{"messages": []}', "line 2: neither"),
        ('{"messages": [{"role": "user"}]}', "line 2: neither"),
        ("[" * 100_000, "line 2: "),
    ],
)
def test_a_bad_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(TextInvalid, match=problem):
        read_samples('{"text": "good"}\n' + line)


@pytest.mark.parametrize("line", ["# comment", "[1]", '{"text": 3}'])
def test_a_bad_first_line_is_named_too(line: str) -> None:
    with pytest.raises(TextInvalid, match=r"line 1: "):
        read_samples(f"{line}\n" + '{"text": "good"}\n' * 2)


def test_a_large_file_is_used_up_to_its_last_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = user_file(tmp_path, *({"text": f"number {n}"} for n in range(3)))
    monkeypatch.setattr(user, "MAX_BYTES", Path(file).stat().st_size - 1)
    _, found = calibrate(tmp_path, file=file, samples=2, maxSequenceLength=8)
    assert found == ["number 0", "number 1"]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = user_file(tmp_path, '\ufeff{"text": "one"}')
    _, found = calibrate(tmp_path, file=file, samples=1, maxSequenceLength=8)
    assert found == ["one"]


def test_of_many_bad_lines_the_first_are_named() -> None:
    with pytest.raises(TextInvalid, match=r"line 6: .* and 15 more"):
        read_samples('{"text": "good"}\n' + "{}\n" * 20)


@pytest.mark.parametrize("lines", [['{"text": "one"}', '{"text": "two"}'], ["one two three"]])
def test_too_few_samples_are_counted(tmp_path: Path, lines: list[str]) -> None:
    file = user_file(tmp_path, *lines)
    with pytest.raises(TextInvalid, match=r"makes 2 samples of 6 tokens, 16 are needed"):
        calibrate(tmp_path, file=file, samples=16, maxSequenceLength=6)
