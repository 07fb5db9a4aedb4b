"""Where the checkpoint comes from.

REQUIRED INPUTS: none; `checkpoint` in the configuration says what to take.
OUTPUTS: `runs/fetch/KEY/` or `runs/train/KEY/`, each with a folder `checkpoint/` in the same format.
"""

if "fetch" in PLAN:

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
            f"fetch: {CONFIG.checkpoint.source} checkpoint"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"


rule collect:
    """Drive the simulator with scripted policies; states and actions, no pictures."""
    input:
        PLAN["collect"].inputs,
    output:
        made("collect"),
    log:
        log_of("collect"),
    benchmark:
        benchmark_of("collect")
    threads: CONFIG.threads
    params:
        command=command("collect"),
    message:
        f"collect: {CONFIG.collect.episodes} episodes of {CONFIG.collect.steps} steps"
    shell:
        "{params.command} 2>&1 | tee -i {log:q}"


rule train:
    """Train LeWM on the collected episodes; continues where an interrupted job stopped."""
    input:
        PLAN["train"].inputs,
    output:
        made("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    threads: CONFIG.threads
    resources:
        gpu=gpus("train"),
    params:
        command=command("train"),
    message:
        f"train: {CONFIG.train.steps} steps of {CONFIG.train.batch} windows"
    shell:
        "{params.command} 2>&1 | tee -i {log:q}"
