"""Lines for a terminal that is gone."""

import os
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
