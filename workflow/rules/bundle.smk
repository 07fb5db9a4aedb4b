"""The bundle that leaves this machine.

REQUIRED INPUTS: every run of the plan.
OUTPUTS: `evidence/KEY/` with the bag, its deterministic archive and the signed sidecars; `runs/{seal,verify}/KEY/`.
"""


rule seal:
    """Check every run against its manifest, then make the bag and its archive."""
    input:
        PLAN["seal"].inputs,
    output:
        manifest=made("seal"),
        bundle=BUNDLE,
    log:
        log_of("seal"),
    benchmark:
        benchmark_of("seal")
    params:
        command=command("seal"),
    message:
        doing(PLAN["seal"])
    shell:
        "exec {params.command} >{log:q} 2>&1"


rule verify:
    """Read the bundle as a stranger would and refuse anything that is not exactly as sealed."""
    input:
        PLAN["verify"].inputs,
    output:
        made("verify"),
    log:
        log_of("verify"),
    benchmark:
        benchmark_of("verify")
    params:
        command=command("verify"),
    message:
        doing(PLAN["verify"])
    shell:
        "exec {params.command} >{log:q} 2>&1"
