"""The paper's tables for this checkpoint: `snakemake tables`.

REQUIRED INPUTS: a run with `checkpoint/`; `runs/collect/KEY/` where starts are taken from a recorded dataset.
OUTPUTS: `results/KEY/tables.html`, made of `runs/{starts,baselines,success,probing,surprise,tables}/KEY/`; the table is `views/results/tables.md`.
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
            doing(PLAN["starts"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

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
            doing(PLAN["baselines"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

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
            doing(PLAN["success"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

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
            doing(PLAN["probing"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

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
            doing(PLAN["surprise"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

    rule tabulate:
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
            doing(PLAN["tables"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

    rule tables:
        """The paper's tables for this checkpoint."""
        input:
            PLAN["tables"].manifest,
            rules.tables_results.output,
        message:
            "All of it is there"
