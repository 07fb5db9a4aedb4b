"""Foreign trainers: `snakemake workers` trains, shows, compares and seals those that the configuration lists.

REQUIRED INPUTS: the hash-locked requirements in `workflow/envs/`.
OUTPUTS: `envs/<worker>-<digest>/`, `runs/worker/KEY/`, views and probes of them, and a bundle of their own.
"""

if WORKERS:
    TRAINED = {
        WORKERS[worker.name].key: environment_of(worker, LOCKS)
        for worker in CONFIG.workers
    }
    ENVIRONMENTS = {
        environment.name: environment.worker for environment in TRAINED.values()
    }

    localrules:
        worker_env,

    rule workers:
        """All configured foreign trainers, sealed and verified."""
        input:
            WORKERS["verify"].manifest,

    rule worker_env:
        """Install a worker's locked requirements into an environment of its own."""
        output:
            "envs/{environment}/ready.json",
        wildcard_constraints:
            environment="|".join(ENVIRONMENTS),
        params:
            worker=lambda w: ENVIRONMENTS[w.environment],
            build=torch_build(),
        message:
            "worker_env: {wildcards.environment}"
        shell:
            "{sys.executable} -m lewm_evidence.workers.environment {params.worker} --build {params.build} --locks {LOCKS:q}"

    rule worker:
        """Train one foreign agent in its own environment."""
        input:
            lambda w: f"envs/{TRAINED[w.key].name}/ready.json",
        output:
            "runs/worker/{key}/manifest.json",
        log:
            "runs/worker/{key}/logs/console.log",
        wildcard_constraints:
            key="|".join(TRAINED),
        threads: CONFIG.threads
        params:
            command=lambda w: command_of(worker_run(w.key)),
        message:
            "worker: {wildcards.key}"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"

    rule workers_shown:
        """Views of all trainers together, what the viewers say of them, and the bundle."""
        input:
            lambda w: worker_run(w.key).inputs,
        output:
            "runs/{stage}/{key}/manifest.json",
        log:
            "runs/{stage}/{key}/logs/console.log",
        wildcard_constraints:
            stage="|".join(
                sorted({run.spec.stage for run in WORKERS.values()} - {"worker"})
            ),
            key="|".join(run.key for run in WORKERS.values() if run.key not in TRAINED),
        params:
            command=lambda w: command_of(worker_run(w.key)),
        message:
            "workers, {wildcards.stage}: {wildcards.key}"
        shell:
            "{params.command} 2>&1 | tee -i {log:q}"
