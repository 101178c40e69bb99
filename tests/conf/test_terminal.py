"""Lines for a terminal that is gone, and the signal that it goes."""

import os
import signal
import subprocess
import sys

import pytest

from tests.commands.installation import ROOT

PROGRAM = "from conf.terminal import print_line; print_line('one'); print_line('two'); import sys; sys.stderr.write('went on')"


@pytest.mark.parametrize("target", ["full disk", "pipe without a reader", "closed"])
def test_a_standard_output_that_cannot_be_written_is_no_error(target: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = os.open("/dev/full", os.O_WRONLY) if target == "full disk" else writing
    program = f"import sys; sys.stdout.close(); {PROGRAM}" if target == "closed" else PROGRAM
    done = subprocess.run([sys.executable, "-c", program], stdout=output, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False)
    for descriptor in {output, writing}:
        os.close(descriptor)
    assert (done.returncode, done.stderr) == (0, "went on")


WAITS = """
import os, signal, sys
output = os.fdopen(int(sys.argv[2]), "w")
os.login_tty(int(sys.argv[1]))
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[3] == "nohup" else signal.SIG_DFL)
from conf.terminal import closing_of_terminal
is_closed = closing_of_terminal()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
signal.signal(signal.SIGHUP, lambda *_: None)
print(is_closed(), file=output, flush=True)
signal.sigwait({signal.SIGHUP})
print(is_closed(), file=output, flush=True)
"""


@pytest.mark.parametrize(("cause", "start", "expected"), [("closing", "", True), ("closing", "nohup", False), ("kill", "", False)])
def test_a_signal_by_the_closing_of_the_terminal_is_told_from_another(cause: str, start: str, *, expected: bool) -> None:
    terminal, theirs = os.openpty()
    reading, writing = os.pipe()
    command = [sys.executable, "-c", WAITS, str(theirs), str(writing), start]
    with (
        subprocess.Popen(command, cwd=ROOT, start_new_session=True, pass_fds=[theirs, writing]) as process,
        open(reading) as output,
    ):
        os.close(theirs)
        os.close(writing)
        assert output.readline() == "False\n"
        if cause == "kill":
            process.send_signal(signal.SIGHUP)
            assert output.readline() == f"{expected}\n"
        os.close(terminal)
        assert cause == "kill" or output.readline() == f"{expected}\n"
