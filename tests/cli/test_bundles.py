"""What commands about bundles tell, and their exit status."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from lewm_evidence.cli import main
from lewm_evidence.seal.bundle import write_bundle

KEY = "0123456789abcdef0123"
COMMAND = [sys.executable, "-m", "lewm_evidence.cli"]


def test_verify_accepts_with_status_0(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An accepted bundle is told with its address; as JSON it is one object a line."""
    assert main(["verify", str(bundle)]) == 0
    assert capsys.readouterr().out.startswith(f"accepted {bundle} (folder)\naddress  sha256:")
    assert main(["verify", "--json", str(bundle / f"{bundle.name}.tar")]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["accepted"] is True and outcome["kind"] == "archive" and len(outcome["address"]) == 64


def test_verify_refuses_with_status_1(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused bundle is told with file and reason, also as JSON."""
    shutil.copytree(bundle, tmp_path / "copy")
    (tmp_path / "copy" / "bag" / "extra").touch()
    assert main(["verify", str(tmp_path / "copy")]) == 1
    assert capsys.readouterr().out.startswith("refused  bag/'extra': does not belong")
    assert main(["verify", str(tmp_path / "copy"), "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["accepted"] is False and "extra" in outcome["reason"]


def test_verify_that_cannot_run_has_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there is neither accepted nor refused."""
    assert main(["verify", str(tmp_path / "nothing"), "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out) == {"error": f"{tmp_path}/nothing does not exist"}
    assert told.err == f"lewm-evidence: {tmp_path}/nothing does not exist\n"
    with pytest.raises(SystemExit) as stopped:
        main(["verify"])
    assert stopped.value.code == 2


def test_summary_names_bundle_scores_and_where_to_look(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of `make evidence`: bundle, address, LeWM against both baselines with intervals."""
    assert main(["summary", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"bundle   {bundle}"
    assert lines[1].startswith("address  sha256:") and len(lines[1]) == len("address  sha256:") + 64
    assert [line[:8].strip() for line in lines[3:6]] == ["LeWM", "random", "no-op"]
    assert lines[3] == "LeWM     success 50 [40, 60] %   final error 50.4 [38.4, 62.4] px"
    assert lines[6] == "LeWM minus random  final error -144.4 [-159.4, -129.4] px"
    assert lines[-1].startswith("check    ") and lines[-1].endswith(f"lewm-evidence verify {bundle}")


def test_summary_shows_report_and_viewers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report, learning curves, TensorBoard folder and Rerun recordings are found by what the runs hold."""
    import example_runs

    def place(*names: str) -> object:
        def write(run: object) -> None:
            for name in names:
                path = run.path / name  # type: ignore[attr-defined]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

        return write

    runs = {
        "report": example_runs.finished(tmp_path / "runs", "report", place("views/report.html")),
        "compare": example_runs.finished(tmp_path / "runs", "compare", place("views/results/curves.html")),
        "render_rerun": example_runs.finished(
            tmp_path / "runs", "render_rerun", place("views/results/showcase.rrd", "views/results/training.rrd")
        ),
        "render_tensorboard": example_runs.finished(
            tmp_path / "runs", "render_tensorboard", place("views/results/showcase/events.out.tfevents.0.x")
        ),
    }
    write_bundle(tmp_path / KEY, runs, {})
    assert main(["summary", str(tmp_path / KEY)]) == 0
    told = capsys.readouterr().out
    bag = tmp_path / KEY / "bag" / "data" / "runs"
    assert f"report   {bag}/{runs['report'].name}/views/report.html\n" in told
    assert f"report   {bag}/{runs['compare'].name}/views/results/curves.html\n" in told
    assert f"open-rerun {tmp_path / KEY}\n" in told
    assert f"open-tensorboard --logdir {tmp_path / KEY}\n" in told


def test_summary_of_something_else_has_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no bundle is said to be none."""
    assert main(["summary", str(tmp_path)]) == 2
    assert "is not a bundle folder" in capsys.readouterr().err


def test_keygen_tells_files_and_fingerprint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As lines or as JSON; a key is never overwritten."""
    assert main(["keygen", str(tmp_path / "key"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["public"] == str(tmp_path / "key.pub") and told["fingerprint"].startswith("SHA256:")
    assert told["allowed_signer"].split()[-1] == (tmp_path / "key.pub").read_text().split()[1]
    assert main(["keygen", str(tmp_path / "key"), "--json"]) == 2
    assert "never overwritten" in json.loads(capsys.readouterr().out)["error"]
    assert main(["keygen", str(tmp_path / "other")]) == 0
    assert f"wrote {tmp_path}/other (keep it to yourself)" in capsys.readouterr().out
