"""The paper's tables for this checkpoint: `snakemake tables`.

REQUIRED INPUTS: a run with `checkpoint/`; `runs/collect/KEY/` where starts are taken from a recorded dataset.
OUTPUTS: `runs/{starts,baselines,success,probing,surprise,tables}/KEY/`; the table is `views/results/tables.md`.
"""

if "tables" in PLAN:

    rule starts:
        """Choose the episodes and the starts in them, as the published evaluation does."""
        input:
            PLAN["starts"].inputs,
        output:
            made("starts"),
        log:
            log_of("starts"),
        benchmark:
            benchmark_of("starts")
        params:
            command=command("starts"),
        message:
            f"starts: {CONFIG.tables.starts.episodes} starts"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule baselines:
        """Play every start without a model: staying still, random, recorded actions, an oracle."""
        input:
            PLAN["baselines"].inputs,
        output:
            made("baselines"),
        log:
            log_of("baselines"),
        benchmark:
            benchmark_of("baselines")
        threads: CONFIG.threads
        params:
            command=command("baselines"),
        message:
            "baselines: no-op, random, replay, oracle"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule success:
        """Plan from every start with the model, and with an untrained one."""
        input:
            PLAN["success"].inputs,
        output:
            made("success"),
        log:
            log_of("success"),
        benchmark:
            benchmark_of("success")
        threads: CONFIG.threads
        resources:
            gpu=gpus("success"),
        params:
            command=command("success"),
        message:
            f"success: {CONFIG.tables.starts.episodes} starts, lewm and untrained"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule probing:
        """Probe the latents, and measure how straight their paths are."""
        input:
            PLAN["probing"].inputs,
        output:
            made("probing"),
        log:
            log_of("probing"),
        benchmark:
            benchmark_of("probing")
        threads: CONFIG.threads
        resources:
            gpu=gpus("probing"),
        params:
            command=command("probing"),
        message:
            f"probing: {CONFIG.tables.probing.episodes} episodes at most"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule surprise:
        """Measure surprise at a teleport and at a change of colour."""
        input:
            PLAN["surprise"].inputs,
        output:
            made("surprise"),
        log:
            log_of("surprise"),
        benchmark:
            benchmark_of("surprise")
        threads: CONFIG.threads
        resources:
            gpu=gpus("surprise"),
        params:
            command=command("surprise"),
        message:
            f"surprise: {CONFIG.tables.surprise.episodes} episodes"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule tables:
        """Put it all into one table beside the paper's numbers."""
        input:
            PLAN["tables"].inputs,
        output:
            made("tables"),
        log:
            log_of("tables"),
        benchmark:
            benchmark_of("tables")
        params:
            command=command("tables"),
        message:
            "tables: measured beside published"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"
