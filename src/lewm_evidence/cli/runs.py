"""Commands about run directories: check, and runs list, show, diff, prune. Only argparse is imported up here."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.cli.bundles import DIFF_STATUS, diff
from lewm_evidence.cli.commands import Commands, Parser, add_command, add_group, add_json, answer, show, size
from lewm_evidence.cli.store import default_store
from lewm_evidence.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lewm_evidence.pruning import Verdict
    from lewm_evidence.records.folder import FoundRun

_NAME = "STAGE/KEY as `runs list` prints it"


def add_run_commands(commands: "Commands[Parser]") -> None:
    """Adds the commands."""
    check = add_command(
        commands,
        "check",
        _check,
        "hash the files of finished runs again and compare with their manifests",
        "  every finished run below runs/\nruns/fetch/0123456789abcdef0123  one run",
        status="0 all as when they finished, 1 a file is not (named), 2 could not run",
    )
    check.add_argument("path", type=Path, nargs="?", default=Path("runs"), metavar="PATH", help="default: runs")
    actions = add_group(commands, "runs", "list, show, compare and clear away run directories")
    listing = add_command(actions, "list", _list, "all runs, finished or not", "\n--runs elsewhere/runs --json")
    show = add_command(actions, "show", _show, "spec and last values of one run", "evaluate/0123456789abcdef0123")
    show.add_argument("name", metavar="RUN", help=_NAME)
    compare = add_command(
        actions,
        "diff",
        _diff,
        "what two runs of a stage have and have not in common; `lewm-evidence diff` takes bundles too",
        "evaluate/0123456789abcdef0123 evaluate/3210fedcba9876543210",
        status=DIFF_STATUS,
    )
    for name in ("a", "b"):
        compare.add_argument(name, metavar=name.upper(), help=_NAME)
    for parser in (listing, show, compare, _add_prune(actions)):
        parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
        add_json(parser)


def _add_prune(actions: "Commands[Parser]") -> Parser:
    prune = add_command(
        actions,
        "prune",
        _prune,
        "remove runs that nothing needs any more; shows only, until --yes is given",
        "  what would go, and why the others stay\n--keep-days 7 --keep-latest 3 --yes\n"
        "--configfile config.yaml mine.yaml  runs of both stay",
        "Kept are runs that a job makes now, that a bundle in evidence/ or in the store cites, that the configuration\n"
        "plans (all targets), that a --keep option keeps, and every run that one of these was made from.\n"
        "The configuration, evidence/ and store are those beside the folder of runs; where that is a link, also those\n"
        "beside what it leads to. While Snakemake works in one of these places, nothing is removed.",
        "0 done, 1 a run that was to go stays (with the reason), 2 could not run (nothing was removed)",
    )
    prune.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="configurations whose runs stay (default: config.yaml, where there is one)",
    )
    prune.add_argument(
        "--keep-days",
        type=float,
        default=1.0,
        metavar="DAYS",
        help="keep what is younger (default: 1)",
    )
    prune.add_argument("--keep-latest", type=int, metavar="N", help="keep the N youngest of each stage")
    prune.add_argument(
        "--store", type=Path, metavar="DIR", help="default: LEWM_EVIDENCE_STORE, or store beside the runs"
    )
    prune.add_argument("--yes", action="store_true", help="remove what is shown")
    return prune


def _check(args: argparse.Namespace) -> int:
    from lewm_evidence.records.manifest import MANIFEST
    from lewm_evidence.seal.runs import check_run

    single = (args.path / MANIFEST).exists()
    found = [args.path] if single else sorted(path.parent for path in args.path.glob(f"*/*/{MANIFEST}"))
    if not found:
        raise EvidenceError(f"{args.path} holds no finished run; give a run directory or the folder of all runs")
    altered = 0
    for run in found:
        try:
            manifest = check_run(run)
            show(f"ok       {run}  {len(manifest.files)} files")
        except EvidenceError as error:
            altered += 1
            show(f"altered  {error}")
    return 1 if altered else 0


def _list(args: argparse.Namespace) -> int:
    from lewm_evidence.records.folder import find_runs

    found = find_runs(args.runs)
    lines = [_row(run) for run in found]
    lines.append(f"{len(found)} runs, {size(sum(run.size for run in found))}")
    answer(args, {"runs": [_facts(run) for run in found]}, lines)
    return 0


def _facts(run: "FoundRun") -> dict[str, object]:
    facts = {name: getattr(run, name) for name in ("name", "state", "files", "size", "inputs")}
    return {**facts, "path": str(run.path), "result_digest": run.result, "changed": int(run.changed)}


def _row(run: "FoundRun") -> str:
    told = f"result {run.result[:12]}" if run.result else run.state
    return f"{run.name:<42} {told:<19}  {run.files:>5} files  {size(run.size):>7}  {_age(run)}"


def _age(run: "FoundRun") -> str:
    seconds = max(0.0, time.time() - run.changed)
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} old"
    return f"{seconds:.0f} seconds old"


def _place(args: argparse.Namespace, name: str) -> Path:
    path: Path = args.runs / name
    if not (path / "spec.json").is_file():
        raise EvidenceError(f"{path} is not a run; `lewm-evidence runs list` shows what is there")
    return path


def _show(args: argparse.Namespace) -> int:
    from lewm_evidence.records.finished import FinishedRun
    from lewm_evidence.records.folder import look
    from lewm_evidence.seal.documents import strict_json

    path = _place(args, args.name)
    found, spec = look(path), strict_json((path / "spec.json").read_bytes(), f"{path}/spec.json")
    last = {record.tag: record for record in FinishedRun(path).records("scalar") if record.kind == "scalar"}
    values = {tag: {"step": record.step, "value": record.value} for tag, record in sorted(last.items())}
    lines = [_row(found), *(f"  {name}: {json.dumps(value, sort_keys=True)}" for name, value in sorted(spec.items()))]
    lines += [f"  {tag} = {last['value']:.6g} (step {last['step']})" for tag, last in values.items()]
    answer(args, {**_facts(found), "spec": spec, "last": values}, lines)
    return 0


def _diff(args: argparse.Namespace) -> int:
    args.a, args.b = _place(args, args.a), _place(args, args.b)
    return diff(args)


def _prune(args: argparse.Namespace) -> int:
    from lewm_evidence.live import claim_folder
    from lewm_evidence.pruning import judge, remove
    from lewm_evidence.records.folder import find_runs
    from lewm_evidence.store.retention import Retention

    projects = _projects(args.runs)
    for state in (project / ".snakemake" for project in projects):
        if args.yes and state.is_dir():  # what Snakemake works on there, no configuration need say
            claim_folder(state, [])
    found, rule = find_runs(args.runs), Retention(args.keep_days, args.keep_latest)
    verdicts = judge(found, _needed(args, projects), rule, time.time())
    planned = sum(verdict.goes for verdict in verdicts)
    if args.yes:
        verdicts = remove(verdicts)
    going = [verdict.run for verdict in verdicts if verdict.goes]
    word = "removed" if args.yes else "to go"
    outcome = {"removed": args.yes, "size": sum(run.size for run in going)}
    rows = [{**_facts(one.run), "goes": one.goes, "reason": one.reason} for one in verdicts]
    total = f"{word:<8} {len(going)} of {len(found)} runs, {size(sum(run.size for run in going))}"
    lines = [_verdict(one, word) for one in verdicts]
    answer(args, {**outcome, "runs": rows}, [*lines, total + ("" if args.yes or not going else "; --yes removes them")])
    return 1 if len(going) < planned else 0


def _projects(runs: Path) -> list[Path]:
    """Returns the folder that `runs` lies in; and where it is a link to another project's, that one's too."""
    beside = (Path(whole(runs)).parent for whole in (os.path.abspath, os.path.realpath))
    return [Path(os.path.relpath(folder)) for folder in dict.fromkeys(beside)]


def _needed(args: argparse.Namespace, projects: "Sequence[Path]") -> dict[str, str]:
    """Returns why runs are needed, by name, for those that a configuration or a bundle needs."""
    from lewm_evidence.pruning import cited_by, planned_by
    from lewm_evidence.store.layout import Layout

    configured = [path for project in projects if (path := project / "config.yaml").is_file()]
    needed: dict[str, str] = {}
    for path in args.configfile or configured:
        needed |= planned_by(path, args.runs.resolve())
    if args.store is not None and not args.store.is_dir():
        raise EvidenceError(f"--store {args.store} is not a folder; nothing was removed")
    stores = [args.store] if args.store is not None else [default_store(project) for project in projects]
    bundles = [bundle for project in projects for bundle in (project / "evidence").glob("[!.]*/")]
    bundles += [bundle for store in stores for bundle in Layout(store).bundles.glob("[!.]*/")]
    return needed | cited_by(sorted(set(bundles)))


def _verdict(verdict: "Verdict", word: str) -> str:
    run = verdict.run
    return f"{word if verdict.goes else 'kept':<8} {run.name:<42} {size(run.size):>7}  {verdict.reason}"
