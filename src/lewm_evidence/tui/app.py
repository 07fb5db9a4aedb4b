"""The terminal report itself: its pages and keys."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Footer, TabbedContent, TabPane, Tabs

from lewm_evidence.errors import EvidenceError
from lewm_evidence.seal.verify import Verified, verify
from lewm_evidence.tui import PAGES, panes
from lewm_evidence.tui.replay import Replay
from lewm_evidence.tui.runs import Runs
from lewm_evidence.tui.text import DIM, clean, lines
from lewm_evidence.tui.viewers import Viewers
from lewm_evidence.tui.widgets import Help, Pane

_TURN = 1.0  # seconds between two looks at what is new


class Report(App[int]):
    """The report on runs, finished or not.

    Args:
        runs: what it is about, looked at once already.
        summary: what the showcase wrote, if its caller has it.
        stage_delay: seconds between two rows of the pipeline when it opens; 0 shows all at once.
        live: whether more runs may come.
    """

    TITLE = "lewm-evidence"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012  # as the base class declares it
        (0, "-narrow"),
        (110, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("o", "rerun", "Rerun"),
        Binding("t", "tensorboard", "TensorBoard"),
        Binding("v", "verify", "verify"),
        Binding("space", "play", "play", priority=True),
        Binding("left", "step(-1)", "step", priority=True, key_display="← →"),
        Binding("right", "step(1)", "step on", show=False, priority=True),
        Binding("left_square_bracket", "decision(-1)", "decision before", show=False),
        Binding("right_square_bracket", "decision(1)", "decision after", show=False),
        Binding("minus", "speed(-1)", "slower", show=False),
        Binding("plus,equals_sign", "speed(1)", "faster", show=False),
        Binding("ctrl+t", "theme", "theme", key_display="^t"),
        *(Binding(str(number), f"page('{page}')", page, show=False) for number, page in enumerate(PAGES, 1)),
    ]
    CSS = """
    .pane { border: round $primary; padding: 0 1; height: auto; }
    .columns { height: auto; }
    .columns > Vertical { width: 1fr; height: auto; }
    .-wide .columns { layout: horizontal; }
    TabPane { padding: 0; }
    .-narrow Picture { max-width: 50%; }
    #pipeline { text-wrap: nowrap; text-overflow: ellipsis; }
    #do-verify { margin: 0 1; }
    Help { align: center middle; }
    #help { width: 64; max-width: 90%; height: auto; max-height: 90%; background: $surface; }
    """

    def __init__(
        self,
        runs: Runs,
        summary: dict[str, Any] | None = None,
        *,
        stage_delay: float = 0.0,
        live: bool = False,
    ) -> None:
        super().__init__()
        self.runs, self._summary, self._live, self._delay = runs, summary, live, stage_delay
        self._clock = time.time
        self._revealed: int | None = 0 if stage_delay > 0 else None
        self.viewers = Viewers(self._say, self._show_viewers)
        self._outcome: Verified | str | None = None
        self._verifying = False
        self._views = panes.views(runs, summary, live)

    # Layout

    def compose(self) -> ComposeResult:
        """Lays the pages out; what they say comes with `_show`."""
        with TabbedContent(initial="report"):
            with TabPane("1 Report", id="report"), VerticalScroll():
                yield Pane("What was shown", "hero")
                with Container(classes="columns"):
                    with Vertical():
                        yield Pane("Pipeline", "pipeline")
                        yield Pane("Reading the report", "guide")
                    with Vertical():
                        yield Pane("Rerun", "rerun")
                        yield Pane("TensorBoard", "tensorboard")
                        yield Pane("Runtime and tensor contract", "metrics")
            with TabPane("2 Replay", id="replay"):
                yield Replay()
            with TabPane("3 Training", id="training"), VerticalScroll():
                yield Pane("Training", "curves")
            with TabPane("4 Events", id="events"), VerticalScroll():
                yield Pane("Events", "happened")
            with TabPane("5 Verification", id="verification"), VerticalScroll():
                yield Pane("Verification", "verified")
                yield Button("Verify the bundle (v)", id="do-verify")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Shows what is there, then follows it."""
        self._first.query_one(Tabs).can_focus = False
        self._first.query_one("#guide", Pane).show(panes.GUIDE)
        self._show()
        if self._revealed is not None:
            self._revealer = self.set_interval(self._delay, self._reveal)
        self._follow()
        if not self.is_headless:
            # As Ctrl-C and `kill` come from outside: the terminal is put back, what was started ends.
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self._stop, 128 + number)

    def _stop(self, status: int) -> None:
        self.exit(return_code=status)

    def on_unmount(self) -> None:
        """Ends what was started from here."""
        self.viewers.close()

    def on_resize(self) -> None:
        """Curves are drawn as wide as there is room for."""
        if self.is_running and self._first.is_mounted:
            self._show_training()

    def _reveal(self) -> None:
        self._revealed = (self._revealed or 0) + 1
        if self._revealed >= panes.stage_count(self.runs, self._live):
            self._revealed = None
            self._revealer.stop()
        self._show_pipeline()

    @work
    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_TURN)
            try:
                new = await asyncio.to_thread(self.runs.turn)
            except OSError:  # a run is being removed; the next look will not find it
                continue
            if not self._first.query(Pane):  # the report was closed meanwhile
                return
            if new:
                self._show()
            elif self.runs.running:
                self._show_pipeline()

    @property
    def _first(self) -> Screen[object]:
        # The report's own screen, also while the list of keys lies above it.
        return self.screen_stack[0]

    @property
    def _replay(self) -> Replay:
        return self._first.query_one(Replay)

    # What the panes say

    def _show(self) -> None:
        self._views = panes.views(self.runs, self._summary, self._live)
        self._pane("hero", lambda: panes.hero(self.runs))
        self._show_pipeline()
        self._show_viewers()
        self._pane("happened", lambda: panes.events(self.runs))
        showcase = self.runs.stage("showcase")
        self._replay.show(showcase)
        waits = Content.styled("No showcase is here yet.", DIM)
        self._pane("metrics", lambda: panes.metrics(showcase, self._replay.decisions) if showcase else waits)
        self._show_training()
        self._show_verification()

    def _show_training(self) -> None:
        trainings = [run for run in self.runs.chosen if run.spec.stage == "train"]
        tabs = self._first.query_one(TabbedContent)
        if trainings:
            tabs.show_tab("training")
        elif tabs.active != "training":
            tabs.hide_tab("training")
        width = max(self.size.width - 8, 40)
        self._pane("curves", lambda: lines(*(panes.training(run, width) for run in trainings)))

    def _pane(self, name: str, make: Callable[[], Content]) -> None:
        self._first.query_one(f"#{name}", Pane).make(make)

    def _show_pipeline(self) -> None:
        self._pane("pipeline", lambda: panes.pipeline(self.runs, self._revealed, self._live, self._clock()))

    def _show_viewers(self) -> None:
        told = self.viewers.told
        self._pane("rerun", lambda: panes.rerun(self._views, told["rerun"]))
        self._first.query_one("#tensorboard").display = self._views.tensorboard is not None
        if self._views.tensorboard is not None:
            self._pane("tensorboard", lambda: panes.tensorboard(self._views, self.viewers.url, told["tensorboard"]))

    def _show_verification(self) -> None:
        bundle = panes.bundle_of(self.runs)
        self._pane("verified", lambda: panes.verification(bundle, self._outcome, self._verifying))
        self._first.query_one("#do-verify", Button).disabled = bundle is None or self._verifying

    # Keys

    def action_help(self) -> None:
        """Shows the keys."""
        self.push_screen(Help())

    def action_page(self, page: str) -> None:
        """Turns to a page."""
        self._first.query_one(TabbedContent).active = page

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        """The keys that scroll go to the page that is seen."""
        event.pane.query(VerticalScroll).first().focus()

    def action_theme(self) -> None:
        """Changes between dark and light."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keeps the keys of the replay to its page, and all keys from what lies below the list of keys."""
        if isinstance(self.screen, Help) and action not in ("quit", "theme"):
            return False
        if action in ("step", "decision", "speed"):
            return self._first.query_one(TabbedContent).active == "replay"
        return True

    def action_play(self) -> None:
        """Plays the episode on its page, or pauses it."""
        self.action_page("replay")
        self._replay.play()

    def action_step(self, by: int) -> None:
        """Goes to a step before or after."""
        self._replay.go(by)

    def action_decision(self, by: int) -> None:
        """Goes to where a decision before or after was made."""
        self._replay.go_decision(by)

    def action_speed(self, by: int) -> None:
        """Plays faster or slower."""
        self._replay.change_speed(by)

    # What is started

    def _say(self, sentence: str, severity: Any) -> None:
        self.notify(clean(sentence), severity=severity, markup=False, timeout=20 if severity == "error" else 8)

    @work
    async def action_tensorboard(self) -> None:
        """Starts TensorBoard and opens it in the browser."""
        await self.viewers.tensorboard(self._views)

    @work(exclusive=True, group="rerun")
    async def action_rerun(self) -> None:
        """Opens the recording in Rerun; the key again begins anew, whatever has become of the viewer."""
        await self.viewers.rerun(self._views)

    def on_button_pressed(self) -> None:
        """The only button verifies the bundle."""
        self.action_verify()

    def action_verify(self) -> None:
        """Verifies the bundle beside everything else."""
        bundle = panes.bundle_of(self.runs)
        if bundle is None:
            self._say("Nothing has been sealed of this, so there is nothing to verify.", "warning")
        elif not self._verifying:
            self._verifying = True
            self.action_page("verification")
            self._show_verification()
            self._verify(bundle)

    @work
    async def _verify(self, bundle: Path) -> None:
        try:
            self._outcome = await asyncio.to_thread(verify, bundle)
        except (EvidenceError, OSError) as error:
            self._outcome = str(error)
        self._verifying = False
        self._show_verification()
