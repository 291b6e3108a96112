"""Using up a container's memory, and reading what it holds, from inside by exec."""

import subprocess
import time
from collections.abc import Callable

from demo.commands import Commands
from e2e.kube import Object
from e2e.models import Models, container_of

EATERS = 60
EATER_BYTES = 24 * 2**20
"""Each less than what is to be killed: the kernel takes the largest."""
EAT = f"""
import os, signal, time
def eat():
    held = bytearray({EATER_BYTES})
    for offset in range(0, len(held), 4096):
        held[offset] = 1
    time.sleep(60)
for _ in range({EATERS}):
    if os.fork() == 0:
        eat()
    time.sleep(0.05)
time.sleep(60)
"""
EXEC_SECONDS = 90


def use_up(commands: Commands, models: Models, pod: str, container: str) -> None:
    """Fill a container's memory until the kernel kills what holds most of it."""
    words = ["kubectl", "exec", "-n", models.namespace, pod, "-c", container]
    with subprocess.Popen(
        [*words, "--", "python", "-c", EAT],
        env=commands.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as eating:
        deadline = time.monotonic() + EXEC_SECONDS
        while eating.poll() is None and time.monotonic() < deadline:
            if has_ended(models, pod, container):
                break
            time.sleep(0.5)
        eating.kill()


def has_ended(models: Models, pod: str, container: str) -> bool:
    """Tell whether a container has ended, or ended before and started again."""
    found = models.kube.find(models.path("api/v1", "pods", pod))
    state = None if found is None else container_of(found, container)
    return state is None or "terminated" in state["state"] or state["restartCount"] > 0


def wait_running(
    models: Models,
    name: str,
    step: str,
    container: str,
    seconds: float,
    wanted: Callable[[Object], bool] = lambda _: True,
) -> str:
    """Wait until a container of a model's step, or of its server, runs; return the pod's name."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pod in models.pods(name, step):
            state = container_of(pod, container)
            if state is not None and "running" in state["state"] and wanted(pod):
                return str(pod["metadata"]["name"])
        time.sleep(0.2)
    message = f"no container {container} of {name} runs after {seconds:.0f} s"
    raise AssertionError(message)


def wait_said(
    commands: Commands, models: Models, pod: str, words: str, seconds: float = 60
) -> None:
    """Wait until the log of a pod of a Job has these words."""
    deadline = time.monotonic() + seconds
    while words not in commands.kubectl("logs", "-n", models.namespace, pod):
        assert time.monotonic() < deadline, f"{pod} never said {words!r}"
        time.sleep(0.2)
