"""Every checkpoint on every task with every seed: `snakemake --cores 4 sweep`.

REQUIRED INPUTS: `sweep` in the configuration.
OUTPUTS: `runs/{fetch,collect,train,showcase,evaluate,render_tensorboard,seal}/KEY/` and `evidence/KEY/`, one set a member
and what members share once; `runs/aggregate/KEY/views/results/index.html`, the page about all of them.

One rule a stage serves all members: the key in a run's path says which. Where a rule of the main pipeline makes the same
run, Snakemake prefers it, because it has no wildcard.
"""

# By the name of a run, the members that need it.
MEMBERS_OF = {}
for member, runs in SWEEP.members.items() if SWEEP is not None else ():
    for run in runs.values():
        MEMBERS_OF.setdefault(run.name, []).append(member)


def gpus_of_stage(stage):
    """How many GPUs a stage of any member asks the scheduler for."""
    return max(
        (gpus_of(run) for run in SWEEP.runs.values() if run.spec.stage == stage),
        default=0,
    )


def swept_inputs(stage):
    """The inputs of a member's run; none for another rule's run, which that rule then makes."""
    known = lambda key: SWEEP.runs.get(f"{stage}/{key}")
    return lambda wildcards: known(wildcards.key).inputs if known(wildcards.key) else []


def swept_command(stage):
    """The command line that makes a member's run."""
    return lambda wildcards: command_of(SWEEP.runs[f"{stage}/{wildcards.key}"])


def swept_doing(stage):
    """What a member's run is, and whose; several members may share it."""

    def sentence(wildcards):
        name = f"{stage}/{wildcards.key}"
        first, *others = MEMBERS_OF[name]
        return f"{doing(SWEEP.runs[name])}; {first}{f' and {len(others)} more' if others else ''}"

    return sentence


def swept_products(wildcards):
    """What `sweep` asks for: the page, and the bundle of every member."""
    if SWEEP is None:
        raise WorkflowError(
            "there is no `sweep` in the configuration; docs/clusters.md shows one"
        )
    return [
        SWEEP.aggregate.manifest,
        *rules.sweep_results.output,
        *(
            f"evidence/{runs['seal'].key}/bundle.json"
            for runs in SWEEP.members.values()
        ),
    ]


rule sweep:
    """Everything: the page, and a sealed bundle of each member."""
    input:
        swept_products,
    message:
        "All of it is there"


if SWEEP is not None and WORKERS:

    # Both have wildcards; the other one is bound to its own keys.
    ruleorder: workers_shown > sweep_render_tensorboard
    ruleorder: workers_shown > sweep_seal


for STAGE in MEMBER_STAGES if SWEEP is not None else ():

    rule:
        name:
            f"sweep_{STAGE}"
        input:
            swept_inputs(STAGE),
        output:
            update(f"runs/{STAGE}/{{key}}/manifest.json"),
            # The bundle is an output too, so that a deleted one is made again.
            *(["evidence/{key}/bundle.json"] if STAGE == "seal" else []),
        log:
            f"runs/{STAGE}/{{key}}/logs/console-{HEAD}.log",
        benchmark:
            f"runs/{STAGE}/{{key}}/logs/benchmark.tsv"
        threads: CONFIG.threads
        resources:
            # The same for every member, and so no function of a job: Snakemake would ask it for each of thousands.
            gpu=gpus_of_stage(STAGE),
        params:
            command=swept_command(STAGE),
            doing=swept_doing(STAGE),
        message:
            "{params.doing}"
        shell:
            "exec {params.command} >{log:q} 2>&1"


if SWEEP is not None:

    # They move data, or read a little of each run.
    localrules:
        sweep_fetch,
        sweep_seal,
        aggregate,

    rule aggregate:
        """Gather the measurements of all members on one page; needs none of their bundles."""
        input:
            SWEEP.aggregate.inputs,
        output:
            update(SWEEP.aggregate.manifest),
        log:
            str(SWEEP.aggregate.path / "logs" / f"console-{HEAD}.log"),
        benchmark:
            str(SWEEP.aggregate.path / "logs" / "benchmark.tsv")
        params:
            command=lambda wildcards: command_of(SWEEP.aggregate),
        message:
            f"Gather {len(SWEEP.members)} members on one page"
        shell:
            "exec {params.command} >{log:q} 2>&1"
