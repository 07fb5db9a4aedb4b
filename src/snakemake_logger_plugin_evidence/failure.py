"""The last words of a failed call: what failed, why, where the log is, what to do."""

import signal
import textwrap

from snakemake_logger_plugin_evidence.job import Job

_WIDTH = 118


def last_words(failed: list[Job], whole_log: str) -> list[str]:
    """Returns the lines that a person reads last when jobs have failed; `whole_log` is Snakemake's own log."""
    lines = []
    for job in failed:
        lines += ["", f"{job.rule} failed after {job.seconds} s: {job.message}", ""]
        for line in (*_why(job), *job.reason.splitlines()):
            lines += textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        lines += ["", f"its log    {job.log}"] if job.log is not None else [""]
    lines += [f"every log  {whole_log}"] if whole_log else []
    return [*lines, "what now   mend the cause, then call the same command again; what is finished is kept"]


def _why(job: Job) -> list[str]:
    """Returns what the job said of its end, and what that means where it could not say so itself."""
    if job.status is not None and job.status < 0:
        memory = "; the usual reason is too little memory" if job.status == -signal.SIGKILL else ""
        ended = f"It was ended from outside by {signal.Signals(-job.status).name}{memory}."
        return [f"The last it said: {job.last}", ended] if job.last else [ended]
    if job.crashed:
        return [job.last, "This is a fault in the program, not in what you asked for. Its log holds the traceback."]
    silent = "What it said stands above." if job.log is None else "It said nothing."
    return job.sentence or [silent]
