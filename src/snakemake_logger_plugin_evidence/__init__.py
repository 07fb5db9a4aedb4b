"""What a person sees while Snakemake works: `logger: evidence` in the profiles.

Each job's progress and result in a line, and at the end of a failed call what failed, why, where its log is and what to
do. On a terminal the running jobs stand below the finished ones and change in place; in a file or a pipe, every line of
a job's console log is printed as it comes. Snakemake finds this plugin by the package's name.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_evidence.failure import last_words
from snakemake_logger_plugin_evidence.job import Job
from snakemake_logger_plugin_evidence.screen import Screen

# Said by the lines of the jobs and the last words, or of no use to a person.
_NOISE = re.compile(
    r"Assuming unrestricted shared|Building DAG of jobs|Using shell:|Select jobs to execute|Shutting down, this"
    r"|Exiting because a job execution failed|--keep-incomplete mode|Elapsed time:|Group jobs: inactive|Cannot restore"
    r"|Reasons:|\d+ jobs have \w+ provenance|Rules with \w+ metadata"
    r"|(RuleException:\n)?CalledProcessError in|WorkflowError:\nAt least one job did not complete"
)
_SILENT = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.JOB_STARTED,
    LogEvent.PROGRESS,
    LogEvent.GROUP_INFO,
    LogEvent.GROUP_ERROR,
}
_STATUS = re.compile(r"exit status (\d+)\.|died with <Signals\.\w+: (\d+)>")
# A refusal of this project's own, and where in the rules Snakemake met it.
_REFUSAL = re.compile(
    r"(?:InputFunctionException in .*\nError:\n\s+)?WorkflowError(?: in .*)?:\n(?P<sentence>.*?)\n?"
    r"(?:Wildcards:|Traceback:|  File ).*",
    re.DOTALL,
)
_TICK = 0.2  # seconds between two looks at the logs

# What the Snakefile wants said where nothing is to be done: Snakemake calls no `onsuccess` then.
at_rest: list[Callable[[], None]] = []


class LogHandler(LogHandlerBase):
    """Tells a person what Snakemake's events mean; a dry run and what is unknown pass through as they are."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self._screen = Screen(sys.stdout if settings.stdout else sys.stderr, colour=not settings.nocolor)
        self._running: dict[int, Job] = {}
        self._failed: dict[int, Job] = {}
        self._done = self._total = 0
        self._cores = self._whole_log = ""
        self._stopped = False
        self._over = threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Says what the record means."""
        told, event = record.__dict__, getattr(record, "event", None)
        on = {
            LogEvent.RESOURCES_INFO: self._on_resources,
            LogEvent.RUN_INFO: self._on_plan,
            LogEvent.JOB_INFO: self._on_start,
            LogEvent.JOB_FINISHED: self._on_finish,
            LogEvent.JOB_ERROR: self._on_failure,
        }
        if self.common_settings.dryrun:
            on = {LogEvent.JOB_INFO: self._on_planned}
        if self.common_settings.verbose:
            self._screen.line(self.format(record))
        elif event in on:
            on[event](told)
        elif event not in _SILENT:
            self._on_message(self.format(record))
        self._refresh()

    def close(self) -> None:
        """Ends the call: nothing that changes is left on the screen, and a failure is told last."""
        self._over.set()
        if self._follower.is_alive():
            self._follower.join()
        self._screen.live([])
        for line in self._end():
            self._screen.line(line)
        self._failed, self._stopped = {}, False  # at the program's end, Python closes every handler again
        super().close()

    def _end(self) -> list[str]:
        if self._stopped:
            return ["", "stopped; what is finished is kept, and the same command goes on from there"]
        return last_words(list(self._failed.values()), self._whole_log) if self._failed else []

    def _on_resources(self, told: dict[str, Any]) -> None:
        self._cores = f" on {told['cores']} cores" if "cores" in told else self._cores

    def _on_plan(self, told: dict[str, Any]) -> None:
        self._total = told["stats"]["total"]
        steps = "1 step" if self._total == 1 else f"{self._total} steps"
        self._screen.line(f"{steps} to do{self._cores}; Ctrl-C stops, and the same command goes on later")

    def _on_planned(self, told: dict[str, Any]) -> None:
        """Of a dry run: what would be done, where, and why, without the names of all files."""
        where = f"{Path(told['output'][0]).parent}: " if told["output"] else ""
        why = "; ".join(reason.split(":")[0].strip() for reason in told["reason"].split("; "))
        self._screen.line(f"{told['rule_name']:<18} {where}{told['rule_msg'] or ''} ({why.lower()})")

    def _on_start(self, told: dict[str, Any]) -> None:
        log = Path(told["log"][0]) if told["log"] else None
        job = Job(told["rule_name"], told["rule_msg"] or "", log, told["shellcmd"] or "")
        self._running[told["jobid"]] = job
        if not self._screen.is_live and job.shell:
            self._tell("start", job, job.message)
        if self._follower.ident is None:
            self._follower.start()

    def _on_finish(self, told: dict[str, Any]) -> None:
        self._done += 1
        self._failed.pop(told["job_id"], None)
        job = self._ended(told["job_id"])
        if job is not None:
            text = f"{job.seconds:>4} s  {job.last or job.message}"
            self._tell(self._screen.green("done "), job, text, f"{self._done}/{self._total}")

    def _on_failure(self, told: dict[str, Any]) -> None:
        job = self._ended(told["jobid"])
        if job is not None and not self._stopped:
            job.reason = told["rule_msg"] or ""
            self._failed[told["jobid"]] = job
            self._tell(self._screen.red("FAIL "), job, f"{job.seconds:>4} s")

    def _on_message(self, text: str) -> None:
        for job in self._running.values():
            status = _STATUS.search(text) if job.shell and job.shell in text else None
            if status:
                job.ended_with(int(status[1] or 0), int(status[2] or 0))
        self._stopped |= text.startswith("Terminating processes on user request")
        if text.startswith("MissingRuleException:"):
            text += " `snakemake --list-target-rules` lists what there is."
        if text.startswith("Complete log(s): "):
            self._whole_log = text.removeprefix("Complete log(s): ").removeprefix(f"{Path.cwd()}/")
        elif not _NOISE.match(text):
            refusal = _REFUSAL.fullmatch(text)
            self._screen.line(refusal["sentence"].strip() if refusal else text)
        if text.startswith(NOTHING_TO_BE_DONE_MSG) and not self.common_settings.dryrun:
            for say in at_rest:
                say()

    def _ended(self, jobid: int) -> Job | None:
        job = self._running.pop(jobid, None)
        if job is not None:
            job.end()
            if not self._stopped:
                self._news(job)
        return job

    def _news(self, job: Job) -> None:
        """Reads the job's log; prints what is new where nothing can be changed later."""
        for line in job.news():
            if not self._screen.is_live:
                self._tell("     ", job, line)

    def _tell(self, what: str, job: Job, text: str, share: str = "") -> None:
        self._screen.line(f"{time.strftime('%H:%M:%S')}  {what} {share:>5}  {job.rule:<18} {text}")

    def _follow(self) -> None:
        while not self._over.wait(_TICK):
            self.acquire()
            try:
                for job in self._running.values():
                    self._news(job)
                self._refresh()
            finally:
                self.release()

    def _refresh(self) -> None:
        self._screen.live([job.progress() for job in self._running.values() if job.shell])
