"""From a pinned LeWorldModel checkpoint to a sealed bundle: `snakemake --cores 4 evidence`."""

from snakemake.utils import min_version

min_version("9.20")


# A file given with --configfile is used instead: it names what differs from the models' defaults.
if not workflow.configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/results.smk"


rule evidence:
    """Everything: the sealed and verified bundle, and what people look at in `results/` (the default target)."""
    default_target: True
    input:
        PLAN["verify"].manifest,
        BUNDLE,
        rules.results.output,
    message:
        "All of it is there"


include: "workflow/rules/workers.smk"
include: "workflow/rules/checkpoint.smk"
include: "workflow/rules/episodes.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/views.smk"
include: "workflow/rules/bundle.smk"
include: "workflow/rules/sweep.smk"
