"""A forked program is a process like one that was started."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.python import Interpreter, Python, run_python, server

KINDS = pytest.mark.parametrize("kind", [Python, Interpreter])
PROGRAM = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ.get("GREETING"), __name__, sys.stdin.read())
print("an error", file=sys.stderr)
sys.exit(7)
"""


@KINDS
def test_it_has_arguments_a_folder_an_environment_and_a_status(kind: type[Python[str]], tmp_path: Path) -> None:
    for program in (["-c", PROGRAM], [tmp_path / "program.py"]):
        (tmp_path / "program.py").write_text(PROGRAM)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with kind([*program, "a", "b"], cwd=tmp_path, env={"GREETING": "hello"}, text=True, **pipes) as process:
            assert process.communicate("typed") == (f"['a', 'b'] {tmp_path} hello __main__ typed\n", "an error\n")
        assert process.returncode == 7


@KINDS
def test_it_runs_until_a_signal_ends_it(kind: type[Python[str]]) -> None:
    process = kind(["-c", "import sys; print('up', flush=True); sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == process.poll() == -signal.SIGKILL


@KINDS
def test_an_interrupt_and_an_error_end_it_as_they_end_an_interpreter(kind: type[Python[str]]) -> None:
    # A shell starts what it does not wait for with the signal ignored, and an interpreter keeps that.
    program = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)"
    with kind(["-c", program], stderr=subprocess.PIPE) as process:
        assert b"KeyboardInterrupt" in process.communicate()[1]
    assert process.returncode == -signal.SIGINT
    with kind(["-c", "raise SystemExit('a reason')"], stderr=subprocess.PIPE) as process:
        assert process.communicate()[1] == b"a reason\n"
    assert process.returncode == 1


def test_two_share_no_random_numbers_and_no_settings() -> None:
    program = ["-c", "import os, random, sys; print(random.random(), os.getpid(), 'jobs.app' in sys.modules)"]
    first, second = (run_python(program, env=dict(os.environ)).stdout.split() for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert first[2] == second[2] == "False"
    assert len(os.listdir(f"/proc/{server().process.pid}/task")) == 1, "a fork copies only the thread that forks"
