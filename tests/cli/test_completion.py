"""The printed completion, in the shell that it is for."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lewm_evidence.cli import main

# What readline does when TAB is pressed: the words so far, and the function that `complete` names for the command.
TAB = """
source "$1"; shift
function=$(complete -p lewm-evidence | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
compopt() { :; }  # only works while readline is at it
"$function" lewm-evidence
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completion for bash."""
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch, (folder / "bash").open("w") as file:
        patch.setattr("sys.stdout", file)
        assert main(["completion", "bash"]) == 0
    return folder / "bash"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ver", {"verify"}),
        ("runs pr", {"prune"}),
        ("showcase --tensorboard-r", {"--tensorboard-run-name"}),
        ("showcase --checkpoint t", {"tworoom"}),
        ("completion z", {"zsh"}),
        ("verify p", {"people.txt", "plans"}),
        ("runs list --runs p", {"plans"}),
        ("report --te", {"--terminal"}),
    ],
)
def test_bash_offers_commands_options_choices_and_paths(
    words: str, offered: set[str], script: Path, tmp_path: Path
) -> None:
    """Where a folder is wanted, no file is offered."""
    (tmp_path / "people.txt").touch()
    (tmp_path / "plans").mkdir()
    command = ["bash", "--noprofile", "--norc", "-c", TAB, "bash", script, "lewm-evidence", *words.split(" ")]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (set(told.stdout.split()), told.stderr) == (offered, "")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_theirs(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every command is named; where the shell is here, it reads the script."""
    assert main(["completion", shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    text = (tmp_path / "script").read_text()
    assert all(word in text for word in ("lewm-evidence", "showcase", "open-tensorboard", "prune"))
    if shutil.which(shell):
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)
