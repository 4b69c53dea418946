"""A test session as a run: ``pytest -p statustui.contrib.pytest`` (or in ``addopts``, ``PYTEST_ADDOPTS``).

Tests are counted with the one in hand; failures and errors are events with their traceback. The exit status of pytest
decides how the run ends; an interrupt is ``cancelled``. Under xdist the controller counts, its workers record nothing.
There is no entry point: it would have pytest rewrite every module of statustui in every session of the environment.
"""

from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from statustui.model import values
from statustui.model.status import RunStatus
from statustui.record import border, ends, state
from statustui.record.run import Run

if TYPE_CHECKING:
    from statustui.record.subtask import Subtask

_EVENTS = 200
"""So many failures of a session are events of their own; of the others the number is told."""
_WHEN = ("setup", "call", "teardown")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--statustui-task NAME``: under which name the session is recorded."""
    group = parser.getgroup("statustui")
    group.addoption("--statustui-task", metavar="NAME", help="name of the task that this session is a run of")


def pytest_configure(config: pytest.Config) -> None:
    """Record the session, unless this is a worker of one, or only looks."""
    if not hasattr(config, "workerinput") and not config.getoption("collectonly", False):
        config.pluginmanager.register(Session(config), "statustui session")


class Session:
    """The run of one test session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.run: Run | None = None
        self.sub: Subtask | None = None
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.failures: list[tuple[str, str]] = []
        """(node id, what went wrong) of the first ones."""
        self.interrupted = False
        self.internal: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin the run."""
        try:
            task = self.config.getoption("statustui_task", None)
            self.run = Run({"task": task, "label": self.config.rootpath.name, "subtasks": 1})
            self.run._begin_run()
            self.run._shared = None  # what tests record is none of this run's
        except Exception as error:
            border.swallow(error, "pytest session")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """All tests are known, without xdist."""
        if getattr(session, "items", None):
            self._expect(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """All tests are known to one worker: the same to each, except where each does all."""
        each = self.config.getoption("dist", None) == "each"
        self._expect(self.total + len(ids) if each else len(ids))

    def _expect(self, total: int) -> None:
        if self.run is None or total == self.total:
            return
        self.total = total
        if self.sub is None:
            self.sub = self.run._begin("tests", total, "tests", None)
        else:
            self.sub.update(total=total)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        if self.sub is not None:
            self.sub.update(message=nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        if self.sub is not None:
            self.sub.advance()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended."""
        try:
            if report.when not in _WHEN and self.sub is not None:
                self.sub.advance()  # its worker died in it: nothing else will be told of it
            if report.failed:
                self._failed(report.nodeid, report, "error" if report.when in ("setup", "teardown") else "failed")
            elif report.when == "call" or report.skipped:
                expected = hasattr(report, "wasxfail")
                word = ("xfailed" if expected else "skipped") if report.skipped else "xpassed" if expected else "passed"
                self.counts[word] += 1
        except Exception as error:
            border.swallow(error, "pytest report")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file was looked at for tests."""
        try:
            if report.failed:
                self._failed(report.nodeid, report, "error")
        except Exception as error:
            border.swallow(error, "pytest report")

    def _failed(self, nodeid: str, report: pytest.TestReport | pytest.CollectReport, kind: str) -> None:
        self.counts["errors" if kind == "error" else "failed"] += 1
        crash = getattr(report.longrepr, "reprcrash", None)
        text = report.longreprtext
        what = str(crash.message) if crash is not None else text.strip().rpartition("\n")[2]
        what = what.strip().partition("\n")[0]
        if len(self.failures) < _EVENTS:
            self.failures.append((nodeid, what))
            self._event(kind, f"{nodeid}: {what}", what, text)

    def _event(self, kind: str, message: str, what: str, detail: str) -> None:
        from statustui.model.fingerprint import fingerprint

        if self.run is None or self.run._session is None:
            return
        session = self.run._session
        name, colon, rest = what.partition(": ")
        key = fingerprint(name, rest) if colon else fingerprint("failed", what)
        told = f"{detail[-30_000:]}\nfingerprint {key}"
        fields = {"kind": kind, "message": session.text(message), "detail": session.text(told)}
        session.fact("event", self.run.run_id, fingerprint=key, **fields)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """The session was interrupted: by a person, or by pytest itself (errors of collection)."""
        error = excinfo.value
        self.interrupted = isinstance(error, KeyboardInterrupt) and not isinstance(error, pytest.Session.Interrupted)

    def pytest_internalerror(self, excrepr: Any, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Pytest or a plugin of it failed."""
        self.internal = f"{ends.headline(excinfo.value)}\n{values.text(excrepr, 30_000)}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """End the run as the exit status says that all plugins have agreed on."""
        try:
            return (yield)
        finally:
            try:
                self._end(int(session.exitstatus))
            except Exception as error:
                border.swallow(error, "end of a pytest session")

    def _end(self, code: int) -> None:
        run = self.run
        if run is None or run._session is None:
            return
        counts = [f"{number:,} {word}" for word, number in self.counts.items()]
        for word, number in self.counts.items():
            run.metric(f"tests_{word}", number)
        more = self.counts["failed"] + self.counts["errors"] - len(self.failures)
        if more > 0:
            run.log(f"{more:,} more failures", kind="dropped")
        if self.sub is not None:
            self.sub._message = None
        message = ", ".join(counts) or "no tests ran"
        if self.interrupted:
            run._end(RunStatus.CANCELLED, message=message, exit_code=code)
        elif code == 0:
            run._end(RunStatus.FINISHED, message=message, exit_code=code)
        else:
            run._end(RunStatus.FAILED, message=message, error=self._error(run, code), exit_code=code)

    def _error(self, run: Run, code: int) -> dict[str, Any]:
        """What the run failed of."""
        if self.internal is not None:
            first, _, rest = self.internal.partition("\n")
            name, _, said = first.partition(": ")
            return ends.make_error(run, name, said, rest, None, None)
        if not self.failures:
            said = "no tests ran" if code == pytest.ExitCode.NO_TESTS_COLLECTED else f"pytest ended with {code}"
            return ends.make_error(run, f"exit status {code}", said, None, None, run.task)
        number = self.counts["failed"] + self.counts["errors"]
        node, what = self.failures[0]
        others = f" (and {number - 1:,} more)" if number > 1 else ""
        detail = "\n".join(f"{nodeid}: {problem}" for nodeid, problem in self.failures)
        return ends.make_error(run, "tests failed", f"{node}: {what}{others}", detail, None, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave what was recorded to a drainer, also where the process goes on to live."""
    for one in state.every():
        one.drainer()
