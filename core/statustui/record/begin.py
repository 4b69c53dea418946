"""The beginning of a run: what is told about it, and what is left behind so that it can be started again."""

import _thread
import os
import sys
import time

from statustui.model import values
from statustui.model.ids import new_id
from statustui.model.stage import DEFAULT_PREFIXES, stage_of
from statustui.record import border, context, join, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from statustui.record.run import Run
    from statustui.record.state import Session


def begin(run: "Run", given: "Mapping[str, Any]") -> None:
    """Begin *run* with what its maker gave; without a session it stays inert."""
    from statustui.record import signals

    store = given.get("store")
    session = state.session(None if store is None else os.fspath(store))
    run.task = _task(given)
    run._started = time.monotonic()
    run._state = "open"
    run._session = session
    if session is None:
        run.run_id = new_id()
        return
    run._parent = current(for_parent=True)
    run._shared = _shared()
    first = run._parent is None
    joined = join.take_join() if first else None
    attempt = join.take_attempt() if first and joined is None else None
    run.run_id = joined or (attempt[0] if attempt else new_id())
    session.runs[run.run_id] = run
    fields = {**_about(run, given, session), **_place(given, joined is not None, session.settings.env_allow)}
    if joined is not None:
        fields["prestarted"] = True
    elif attempt is not None:
        fields["attempt"], fields["retry_of"] = attempt[1], attempt[2]
    elif run._parent is not None:
        fields["parent"] = run._parent.run_id
    elif join.joined is not None:
        fields["parent"] = join.joined
    session.fact("run.start", run.run_id, **fields)
    state.signals = signals
    signals.register(session)
    if first and joined is None:
        _leave_launch_file(run, fields, session)
    session.drainer()


def current(*, for_parent: bool = False) -> "Run | None":
    """The run that this code works in: of this context, else of the main thread, else that of the environment."""
    from statustui.record import handoff
    from statustui.record.run import current_run

    run = current_run.get()
    if run is not None and run._state == "open":
        return run
    sessions = state.every()
    opened = [found for one in sessions for found in one.runs.values() if found._shared is not None]
    shared = [found for found in opened if found._shared]
    if not shared and len(opened) == 1 and not for_parent:
        shared = opened
    shared = shared or [found for one in sessions for found in one.views.values()]
    return shared[-1] if shared else handoff.from_environment()


def _shared() -> bool:
    """True where threads of the program may take a run for theirs: begun by the main thread, outside an event loop."""
    threading, events = sys.modules.get("threading"), sys.modules.get("asyncio.events")
    if threading is not None and threading.main_thread().ident != _thread.get_ident():
        return False
    return events is None or events._get_running_loop() is None


def _task(given: "Mapping[str, Any]") -> str:
    from statustui.model.redact import redact

    task = given.get("task")
    name = values.name(task).strip() if task is not None else ""
    return redact(name or values.name(context.task_name())) or "unnamed"


def _about(run: "Run", given: "Mapping[str, Any]", session: "Session") -> "dict[str, Any]":
    from statustui.model import redact

    stage = given.get("stage")
    if stage is None:
        stage = stage_of(run.task, {**DEFAULT_PREFIXES, **session.settings.stage_prefixes})
    label = given.get("label")
    params = values.mapping(given.get("params"))
    tags = given.get("tags") or ()
    words = (tags,) if isinstance(tags, str) else tuple(tags)[:100]
    return {
        "task": run.task,
        "stage": None if stage is None else session.text(values.name(stage)),
        "type": "python",
        "args": redact.redact_argv([values.text(word, 4096) for word in sys.argv[:1000]], session.patterns),
        "label": None if label is None else session.text(values.name(label)),
        "total": values.count(given.get("subtasks")),
        "params": redact.redact_tree(params, session.patterns) or None,
        "tags": [session.text(values.name(word)) for word in words] or None,
        "grace": values.real(given.get("grace")),
        "max_attempts": values.count(given.get("max_attempts")),
    }


def _place(given: "Mapping[str, Any]", joined: bool, env_allow: tuple[str, ...]) -> "dict[str, Any]":
    fields: dict[str, Any] = {}
    try:
        path = context.script_path()
        fields["script_path"] = None if path is None else values.text(path, 4096)
        directory = context.cwd()
        fields["cwd"] = None if directory is None else values.text(directory, 4096)
        fields["git_commit"] = context.git_commit(os.path.dirname(path) if path else directory)
        fields["env"] = context.environment(env_allow)
        log = given.get("log")
        if log is not None or not joined:
            fields.update(context.log_file(log))
    except Exception as error:
        border.swallow(error, "context")
    return fields


def _leave_launch_file(run: "Run", fields: "dict[str, Any]", session: "Session") -> None:
    """The true command line, for a retry: 0600, on this host, never in the store."""
    argv = context.launch_argv()
    if argv is None:
        return
    try:
        from statustui.journal import launch

        launch.write(
            session.settings.state_dir,
            run.run_id,
            task=run.task,
            argv=argv,
            cwd=context.cwd(),
            exe=sys.executable,
            env=context.launch_environment(session.settings.env_allow, os.environ),
            log_path=fields.get("log_path"),
            stage=fields.get("stage"),
            grace=fields.get("grace"),
            store=session.settings.store_url,
            host=os.uname().nodename,
            wrapped=False,
        )
    except Exception as error:
        border.swallow(error, "launch file")
