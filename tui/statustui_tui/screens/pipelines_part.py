"""The *Pipelines* part of the Monitor screen: one line for each."""

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from statustui.model.items import PipelineSummary
from statustui_tui.items_source import Board
from statustui_tui.screens.items_view import PipelineLine, waiting, whole
from statustui_tui.screens.parts.line import Line, rule
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Column, Row

COLUMNS = (Column(key="line", title="", width=12, flex=1),)


class PipelinesPart(Vertical):
    """A heading and the lines; not there while there is no pipeline."""

    DEFAULT_CSS = """
    PipelinesPart { height: auto; display: none; }
    """

    def __init__(self, *, ascii_only: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """The heading and the list."""
        yield Line(id="pipelines-title", classes="title")
        yield Table(COLUMNS, header=False, ascii=self._ascii, id="pipelines")

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one("#pipelines", Table)

    def show(self, board: Board, *, zoomed: str | None) -> None:
        """Show the pipelines in a quarter of the screen, or in all of it."""
        width, height = self.app.size.width, self.app.size.height
        alone = zoomed == "pipelines"
        most = height if alone else max(1, (height - 6) // 4)
        self.display = bool(board.pipelines) and (alone or (zoomed is None and height >= 12))
        if not self.display:
            return
        rows = [_row(one, board, ascii_only=self._ascii) for one in board.pipelines]
        self.styles.height = "1fr" if alone else "auto"
        self.table.styles.height = "1fr" if alone else min(len(rows), most)
        self.table.set_rows(rows)
        title = f"Pipelines {len(rows)}" if len(rows) > 1 else "Pipelines"
        focused = self.screen.focused is self.table
        self.query_one("#pipelines-title", Line).show(
            rule(title, "3 for their steps", width, ascii_only=self._ascii, focused=focused)
        )


def _row(one: PipelineSummary, board: Board, *, ascii_only: bool) -> Row:
    return Row(
        key=one.pipeline,
        cells=(
            PipelineLine(
                name=one.pipeline,
                column=max(len(other.pipeline) for other in board.pipelines),
                total=one.total,
                digits=max(len(whole(other.total)) for other in board.pipelines),
                statuses=tuple(one.statuses.items()),
                waiting=waiting(one),
                ascii=ascii_only,
            ),
        ),
    )
