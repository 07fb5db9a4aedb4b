"""What people look at, copied from the runs into `results/KEY/`, with a caption each for `snakemake --report`.

REQUIRED INPUTS: finished runs.
OUTPUTS: `results/KEY/`, on which nothing depends; KEY is that of the run at the end.

A stage's output is its manifest alone (docs/architecture.md), so what is shown is copied by a rule of its own. What
these functions return maps an output of that rule to the shell command that makes it.
"""

CAPTIONS = Path(workflow.basedir) / "workflow" / "report"


def shown(place, caption, category, *, patterns=None, **labels):
    """An output as the report shows it; with `patterns` a folder, of which it shows the files that fit."""
    return report(
        directory(str(place)) if patterns else str(place),
        caption=str(CAPTIONS / caption),
        category=category,
        labels=labels,
        patterns=patterns or [],
    )


def copied(run, view, page):
    """Copies a view of a run."""
    return {page: f"cp {run.path}/views/{view} {page}"}


def as_page(command, page):
    """Makes a page of what a command says: a browser shows it in the report, where a text would be a download."""
    escaped = "sed 's/&/\\&amp;/g; s/</\\&lt;/g'"
    return {
        page: f"(echo '<!doctype html><meta charset=utf-8><pre>'; {command} | {escaped}) >{page}"
    }


def in_words(runs, category):
    """The bundle of these runs in words."""
    key = runs["seal"].key
    page = shown(f"results/{key}/bundle.html", "bundle.rst", category, what="bundle")
    words = f"{{sys.executable}} -m lewm_evidence.cli summary evidence/{key}"
    return as_page(words, page)


def viewers(runs):
    """What the viewers showed; where no picture could be taken, the reason instead."""
    place = f"results/{runs['seal'].key}/viewers"
    folder = shown(
        place,
        "viewers.rst",
        "Viewers",
        patterns=["{viewer}.{kind}"],
        viewer="{viewer}",
    )
    commands = [f"mkdir -p {place}"]
    for viewer in ("tensorboard", "rerun"):
        if f"probe_{viewer}" in runs:
            picture = f"{runs[f'probe_{viewer}'].path}/views/screenshot"
            commands.append(
                f"for file in {picture}.*; do cp $file {place}/{viewer}.${{{{file##*.}}}}; done"
            )
    return {folder: "\n".join(commands)}


def tables_page(key):
    """The paper's tables."""
    page = shown(f"results/{key}/tables.html", "tables.rst", "Tables", what="tables")
    return as_page(f"cat {PLAN['tables'].path}/views/results/tables.md", page)


def evidence_results():
    """Of the evidence: the report and the tables, where there are some, the bundle in words, the viewers."""
    key, made = PLAN["seal"].key, {}
    if "report" in PLAN:
        page = shown(
            f"results/{key}/report.html", "report.rst", "Evidence", what="report"
        )
        made |= copied(PLAN["report"], "report/index.html", page)
    if "tables" in PLAN and CONFIG.tables.sealed:
        made |= tables_page(key)
    return made | in_words(PLAN, "Evidence") | viewers(PLAN)


def workers_results():
    """Of the foreign trainers: their comparison, where there are some, their bundle in words, the viewers."""
    key, made = WORKERS["seal"].key, {}
    if "compare" in WORKERS:
        page = shown(
            f"results/{key}/trainers.html", "trainers.rst", "Trainers", what="curves"
        )
        made |= copied(WORKERS["compare"], "results/curves.html", page) | viewers(
            WORKERS
        )
    return made | in_words(WORKERS, "Trainers")


def swept_results(aggregate):
    """Of a sweep: the page about all members."""
    page = shown(
        f"results/{aggregate.key}/sweep.html", "sweep.rst", "Sweep", what="members"
    )
    return copied(aggregate, "results/index.html", page)


EVIDENCE = evidence_results()
PAPER = tables_page(PLAN["tables"].key) if "tables" in PLAN else {}
FOREIGN = workers_results() if WORKERS else {}
SWEPT = swept_results(SWEEP.aggregate) if SWEEP is not None else {}


localrules:
    results,


rule results:
    """Copy what people look at of the evidence to where they find it."""
    input:
        PLAN["verify"].manifest,
        BUNDLE,
    output:
        *EVIDENCE,
    message:
        f"Copy what people look at into results/{PLAN['seal'].key}/"
    shell:
        "\n".join(EVIDENCE.values())


if PAPER:

    localrules:
        tables_results,

    rule tables_results:
        """Copy the paper's tables to where people find them."""
        input:
            PLAN["tables"].manifest,
        output:
            *PAPER,
        message:
            "Copy the tables into results/"
        shell:
            "\n".join(PAPER.values())


if FOREIGN:

    localrules:
        workers_results,

    rule workers_results:
        """Copy what people look at of the foreign trainers to where they find it."""
        input:
            WORKERS["verify"].manifest,
        output:
            *FOREIGN,
        message:
            "Copy what people look at into results/"
        shell:
            "\n".join(FOREIGN.values())


if SWEPT:

    localrules:
        sweep_results,

    rule sweep_results:
        """Copy the page about a sweep to where people find it."""
        input:
            SWEEP.aggregate.manifest,
        output:
            *SWEPT,
        message:
            "Copy the page into results/"
        shell:
            "\n".join(SWEPT.values())
