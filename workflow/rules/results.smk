"""What people look at, gathered from the runs into `results/KEY/`, with a caption each for `snakemake --report`.

REQUIRED INPUTS: finished runs.
OUTPUTS: `results/KEY/`, copies that nothing depends on; KEY is that of the run they were taken from.

A stage's output is its manifest alone (docs/architecture.md), so what is shown is copied by the rules at the end of the
pipeline. Each of these tables maps an output to the command that makes it.
"""

CAPTIONS = Path(workflow.basedir) / "workflow" / "report"


def shown(place, caption, category, **labels):
    """An output of one of these rules, as the report shows it."""
    return report(
        str(place), caption=str(CAPTIONS / caption), category=category, labels=labels
    )


def copied(run, view, place):
    """The command that copies a view of a run."""
    return shlex.join(["cp", str(run.path / "views" / view), str(place)])


def pictures(plan, place, caption):
    """What the viewers showed; where no picture could be taken, the reason instead."""
    folder = report(
        directory(str(place)),
        patterns=["{viewer}.{kind}"],
        caption=str(CAPTIONS / caption),
        category="Viewers",
        labels={"viewer": "{viewer}", "file": "{kind}"},
    )
    commands = [f"mkdir -p {place}"]
    for viewer in ("tensorboard", "rerun"):
        if f"probe_{viewer}" in plan:
            taken = plan[f"probe_{viewer}"].path / "views" / "screenshot"
            commands.append(
                f"for file in {taken}.*; do cp $file {place}/{viewer}.${{file##*.}}; done"
            )
    return {folder: "\n".join(commands)}


def of_evidence():
    """The bundle in words, what the viewers show, and the report and the tables where there are some."""
    place = Path("results") / PLAN["seal"].key
    made = {
        shown(
            place / "bundle.txt", "bundle.rst", "Evidence", what="the bundle in words"
        ): f"{told_of(BUNDLE)} >{place}/bundle.txt",
        **pictures(PLAN, place / "viewers", "viewers.rst"),
    }
    if "report" in PLAN:
        page = shown(place / "report.html", "report.rst", "Evidence", what="the report")
        made[page] = copied(PLAN["report"], "report/index.html", page)
    return made | (
        of_tables(place) if CONFIG.tables.sealed and "tables" in PLAN else {}
    )


def of_tables(place):
    """The paper's tables."""
    table = shown(
        place / "tables.md", "tables.rst", "Tables", what="measured beside published"
    )
    return {table: copied(PLAN["tables"], "results/tables.md", table)}


def of_workers():
    """The comparison of the foreign trainers, what TensorBoard shows of them, and their bundle in words."""
    place = Path("results") / WORKERS["seal"].key
    words = shown(
        place / "bundle.txt",
        "bundle.rst",
        "Foreign trainers",
        what="the bundle in words",
    )
    made = {
        words: f"{told_of(Path('evidence') / WORKERS['seal'].key / 'bundle.json')} >{words}"
    }
    if "compare" in WORKERS:
        page = shown(
            place / "trainers.html",
            "trainers.rst",
            "Foreign trainers",
            what="learning curves",
        )
        made[page] = copied(WORKERS["compare"], "results/curves.html", page)
        made |= pictures(WORKERS, place / "viewers", "viewers.rst")
    return made


def of_sweep(aggregate):
    """The page about all members of a sweep."""
    page = shown(
        Path("results") / aggregate.key / "sweep.html",
        "sweep.rst",
        "Sweep",
        what="all members",
    )
    return {page: copied(aggregate, "results/index.html", page)}


EVIDENCE = of_evidence()


localrules:
    evidence,
