"""The command line as a whole: help, exit status, stopping."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lewm_evidence import __version__
from lewm_evidence.cli import main
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle

KEY = "0123456789abcdef0123"
COMMAND = [sys.executable, "-m", "lewm_evidence.cli"]


@pytest.fixture(scope="module")
def bundle(examples: dict[str, FinishedRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder of the made-up runs. Read only."""
    folder = tmp_path_factory.mktemp("evidence") / KEY
    write_bundle(folder, examples, {})
    return folder


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the package's; every command's help has examples or sub-commands, and exit codes."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"lewm-evidence {__version__}\n"
    for words in (["verify"], ["summary"], ["check"], ["runs"], ["runs", "list"], ["runs", "show"], ["doctor"]):
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--help"])
        told = capsys.readouterr().out
        assert stopped.value.code == 0 and "exit status: 0 " in told
        assert "examples:" in told or words == ["runs"]


def test_help_comes_at_once() -> None:
    """Help imports none of what the commands need, pydantic included."""
    code = (
        "import sys\nfrom lewm_evidence.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'yaml', 'numpy', 'torch', 'snakemake'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.endswith("\n[]\n")


def test_a_reader_that_goes_away_is_no_error(bundle: Path) -> None:
    """`lewm-evidence … | head -0` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    told = subprocess.run([*COMMAND, "summary", bundle], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (told.returncode, told.stderr) == (141, b"")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_is_quiet_and_leaves_nothing(number: int, status: int, bundle: Path, tmp_path: Path) -> None:
    """Ctrl-C or a polite kill in the middle of an archive: no traceback, no temporary folder."""
    code = (
        "import sys, time, lewm_evidence.seal.verify as v\n"
        "v._verify_bag = lambda *_: (print('unpacked', flush=True), time.sleep(60))\n"
        "from lewm_evidence.cli import main\nsys.exit(main(['verify', sys.argv[1]]))"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, bundle / f"{KEY}.tar"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with job:
        assert job.stdout is not None and job.stderr is not None
        assert job.stdout.readline() == b"unpacked\n"
        assert len(list(tmp_path.iterdir())) == 1
        job.send_signal(number)
        assert job.wait(20) == status
        assert job.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []
