"""Where the checkpoint comes from.

REQUIRED INPUTS: none; `checkpoint` in the configuration says what to take.
OUTPUTS: `runs/fetch/KEY/` or `runs/train/KEY/`, each with a folder `checkpoint/` in the same format.
"""

if "fetch" in PLAN:

    localrules:
        fetch,

    rule fetch:
        """Take the checkpoint from the package or from the hub, every file checked by sha256."""
        input:
            PLAN["fetch"].inputs,
        output:
            made("fetch"),
        log:
            log_of("fetch"),
        benchmark:
            benchmark_of("fetch")
        params:
            command=command("fetch"),
        message:
            doing(PLAN["fetch"])
        shell:
            "exec {params.command} >{log:q} 2>&1"


# What the configuration asks for, and beside it the short training that shows that this machine can train.
for run in distinct("smoke_collect", "collect"):

    rule:
        """Drive the simulator with scripted policies; states and actions, no pictures."""
        name:
            run
        input:
            PLAN[run].inputs,
        output:
            made(run),
        log:
            log_of(run),
        benchmark:
            benchmark_of(run)
        threads: CONFIG.threads
        params:
            command=command(run),
        message:
            doing(PLAN[run])
        shell:
            "exec {params.command} >{log:q} 2>&1"


for run in distinct("smoke_train", "train"):

    rule:
        """Train LeWM on the collected episodes; continues where an interrupted job stopped."""
        name:
            run
        input:
            PLAN[run].inputs,
        output:
            made(run),
        log:
            log_of(run),
        benchmark:
            benchmark_of(run)
        threads: CONFIG.threads * ranks(run)
        resources:
            gpu=gpus(run),
        params:
            command=command(run),
        message:
            doing(PLAN[run])
        shell:
            "exec {params.command} >{log:q} 2>&1"
