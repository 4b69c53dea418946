"""The coordinator of a pipeline, for commands that change many of its items."""

from typing import TYPE_CHECKING

from statustui.cli.session import NO_STORE, Session, Stop

if TYPE_CHECKING:
    from statustui.model.pipeline import Definition
    from statustui.pipelines.coordinating import Coordinator


def coordinator_of(session: Session, pipeline: str, definition: "Definition | None" = None) -> "Coordinator":
    """What asks and changes items of a pipeline, as the store defines it.

    Args:
        session: the call.
        pipeline: its name.
        definition: instead of the store's, for a pipeline that is new.

    Raises:
        Stop: recording is switched off in this environment.
    """
    from statustui.pipelines.coordinating import Coordinator
    from statustui.pipelines.reporting import Reporter

    url = session.settings.store_url
    if definition is None:
        from statustui.store.item_reads import definition as defined
        from statustui.store.open import open_store

        with open_store(url, create=False, read_only=True) as store:
            definition = defined(store, pipeline)
    reporter = Reporter(definition, store=url)
    if reporter.session is None:
        raise Stop(NO_STORE, "STATUSTUI_DISABLE is set: nothing can be changed from here")
    return Coordinator(reporter, announce=False)
