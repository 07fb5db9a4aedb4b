"""Foreign trainers: `snakemake workers` trains, shows, compares and seals those that the configuration lists.

REQUIRED INPUTS: the hash-locked requirements in `workflow/envs/`.
OUTPUTS: `envs/<worker>-<digest>/`, `runs/worker/KEY/`, views and probes of them, and a bundle of their own.
`snakemake wandb` makes W&B runs of the evidence where `wandb.mode` asks for them.
"""

# By the key of a run: the environment that it needs.
ENVIRONMENT_OF = {
    run.key: run.spec.config["environment"]
    for run in (*WORKERS.values(), *TRACKED.values())
    if "environment" in run.spec.config
}
SHOWN = [
    run
    for name, run in WORKERS.items()
    if run.key not in ENVIRONMENT_OF and name not in ("checkpoint", "fetch_policy")
]


if WORKERS:

    localrules:
        workers,

    rule workers:
        """All configured foreign trainers, sealed and verified."""
        input:
            WORKERS["verify"].manifest,
            rules.workers_results.output,
        params:
            links=shlex.join(links(CONFIG, WORKERS)),
        message:
            "Link TensorBoard files to where the trainers' documents look"
        shell:
            "{sys.executable} -m lewm_evidence.workers.links {params.links}"

    rule workers_shown:
        """Views of all trainers together, what the viewers say of them, and the bundle."""
        input:
            lambda w: worker_run(w.key).inputs,
        output:
            "runs/{stage}/{key}/manifest.json",
        log:
            f"runs/{{stage}}/{{key}}/logs/console-{HEAD}.log",
        wildcard_constraints:
            stage="|".join(sorted({run.spec.stage for run in SHOWN})),
            key="|".join(run.key for run in SHOWN),
        params:
            command=lambda w: command_of(worker_run(w.key)),
            doing=lambda w: doing(worker_run(w.key)),
        message:
            "{params.doing}"
        shell:
            "exec {params.command} >{log:q} 2>&1"


if "fetch_policy" in WORKERS:

    localrules:
        fetch_policy,

    rule fetch_policy:
        """Take a foreign policy from the hub or from a folder, every file checked by sha256."""
        output:
            update(WORKERS["fetch_policy"].manifest),
        log:
            str(WORKERS["fetch_policy"].path / "logs" / f"console-{HEAD}.log"),
        params:
            command=command_of(WORKERS["fetch_policy"]),
        message:
            doing(WORKERS["fetch_policy"])
        shell:
            "exec {params.command} >{log:q} 2>&1"


if TRACKED:

    rule wandb:
        """The evidence as W&B runs, offline unless the configuration says online."""
        input:
            [run.manifest for run in TRACKED.values()],


if ENVIRONMENT_OF:

    localrules:
        worker_env,

    rule worker_env:
        """Install a worker's locked requirements into an environment of its own."""
        output:
            "envs/{environment}/ready.json",
        log:
            "logs/worker_env/{environment}.log",
        wildcard_constraints:
            environment="|".join(sorted(set(ENVIRONMENT_OF.values()))),
        params:
            worker=lambda w: w.environment.rsplit("-", 1)[0],
            build=torch_build(),
        message:
            "Install {wildcards.environment} from its locked requirements; takes minutes, once"
        shell:
            "{sys.executable} -m lewm_evidence.workers.environment {params.worker} --build {params.build} --locks {LOCKS:q} >{log:q} 2>&1"

    rule worker:
        """Run a foreign program in its own environment: a trainer, a policy, the reference, or W&B."""
        input:
            lambda w: [
                f"envs/{ENVIRONMENT_OF[w.key]}/ready.json",
                *worker_run(w.key).inputs,
            ],
        output:
            "runs/{stage}/{key}/manifest.json",
        log:
            f"runs/{{stage}}/{{key}}/logs/console-{HEAD}.log",
        wildcard_constraints:
            stage="worker|parity|convert_policy|policy|render_wandb",
            key="|".join(ENVIRONMENT_OF),
        threads: CONFIG.threads
        params:
            command=lambda w: command_of(worker_run(w.key)),
            doing=lambda w: doing(worker_run(w.key)),
        message:
            "{params.doing}"
        shell:
            "exec {params.command} >{log:q} 2>&1"
