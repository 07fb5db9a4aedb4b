"""What people look at, and proof that it opens.

REQUIRED INPUTS: finished runs; the views are pure functions of their records.
OUTPUTS: `runs/render_*/KEY/views/`, what the real viewers said in `runs/probe_*/KEY/`, `runs/report/KEY/views/report/`.
"""


rule render_tensorboard:
    """Write TensorBoard event files from the records."""
    input:
        PLAN["render_tensorboard"].inputs,
    output:
        made("render_tensorboard"),
    log:
        log_of("render_tensorboard"),
    benchmark:
        benchmark_of("render_tensorboard")
    params:
        command=command("render_tensorboard"),
    message:
        doing(PLAN["render_tensorboard"])
    shell:
        "exec {params.command} >{log:q} 2>&1"


rule probe_tensorboard:
    """Start the real TensorBoard and ask it for every run, tag and point."""
    input:
        PLAN["probe_tensorboard"].inputs,
    output:
        made("probe_tensorboard"),
    log:
        log_of("probe_tensorboard"),
    benchmark:
        benchmark_of("probe_tensorboard")
    params:
        command=command("probe_tensorboard"),
    message:
        doing(PLAN["probe_tensorboard"])
    shell:
        "exec {params.command} >{log:q} 2>&1"


if "showcase" in PLAN:

    rule render_rerun:
        """Write a Rerun recording of the showcase from its records."""
        input:
            PLAN["render_rerun"].inputs,
        output:
            made("render_rerun"),
        log:
            log_of("render_rerun"),
        benchmark:
            benchmark_of("render_rerun")
        params:
            command=command("render_rerun"),
        message:
            doing(PLAN["render_rerun"])
        shell:
            "exec {params.command} >{log:q} 2>&1"

    rule probe_rerun:
        """Verify the recording with the real Rerun and read every value back."""
        input:
            PLAN["probe_rerun"].inputs,
        output:
            made("probe_rerun"),
        log:
            log_of("probe_rerun"),
        benchmark:
            benchmark_of("probe_rerun")
        params:
            command=command("probe_rerun"),
        message:
            doing(PLAN["probe_rerun"])
        shell:
            "exec {params.command} >{log:q} 2>&1"


rule report:
    """One self-contained page of numbers and pictures."""
    input:
        PLAN["report"].inputs,
    output:
        made("report"),
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
    params:
        command=command("report"),
    message:
        doing(PLAN["report"])
    shell:
        "exec {params.command} >{log:q} 2>&1"
