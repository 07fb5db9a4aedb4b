"""Running the model: plan, act in the real simulator, measure.

REQUIRED INPUTS: a run with `checkpoint/`.
OUTPUTS: `runs/{showcase,evaluate,gate}/KEY/`; `gate` fails when the checkpoint does not beat random actions.
`runs/score/KEY/` instead of these for a checkpoint whose simulator is not here.
"""

if "score" in PLAN:

    rule score:
        """Encode and score where there is no simulator to act in; says what is skipped."""
        input:
            PLAN["score"].inputs,
        output:
            made("score"),
        log:
            log_of("score"),
        benchmark:
            benchmark_of("score")
        threads: CONFIG.threads
        resources:
            gpu=gpus("score"),
        params:
            command=command("score"),
        message:
            doing(PLAN["score"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

else:

    rule showcase:
        """One episode in full: candidates, costs, plans, frames, latents, latencies."""
        input:
            PLAN["showcase"].inputs,
        output:
            made("showcase"),
        log:
            log_of("showcase"),
        benchmark:
            benchmark_of("showcase")
        threads: CONFIG.threads
        resources:
            gpu=gpus("showcase"),
        params:
            command=command("showcase"),
        message:
            doing(PLAN["showcase"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

    rule evaluate:
        """Success and final error over paired starts, against random actions and no action."""
        input:
            PLAN["evaluate"].inputs,
        output:
            made("evaluate"),
        log:
            log_of("evaluate"),
        benchmark:
            benchmark_of("evaluate")
        threads: CONFIG.threads
        resources:
            gpu=gpus("evaluate"),
        params:
            command=command("evaluate"),
        message:
            doing(PLAN["evaluate"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

    rule gate:
        """Fail, with the figures, when the checkpoint does not hold what evidence must hold."""
        input:
            PLAN["gate"].inputs,
        output:
            made("gate"),
        log:
            log_of("gate"),
        benchmark:
            benchmark_of("gate")
        params:
            command=command("gate"),
        message:
            doing(PLAN["gate"])
        shell:
            "exec {params.command} >{log:q} 2>&1"
