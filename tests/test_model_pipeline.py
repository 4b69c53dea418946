"""Definitions of pipelines say what is wrong with them, and what differs between two of them."""

import pytest

from statustui.model.pipeline import Definition, DefinitionError, Plan, Step, item_fraction, missing
from statustui.model.status import ItemStatus


def pipeline(*steps: Step) -> Definition:
    return Definition(name="p", steps=steps)


@pytest.mark.parametrize(
    "steps, says",
    [
        ((Step(key=""),), "a step has no key"),
        ((Step(key="a"), Step(key="a")), "step 'a' stands twice"),
        ((Step(key="a", weight=0),), "step 'a' has weight 0"),
        ((Step(key="a", weight=float("nan")),), "step 'a' has weight nan"),
        ((Step(key="a", max_retries=-1),), "step 'a' has -1 retries"),
        ((Step(key="a", after=("b",)),), "step 'a' comes after 'b', which is no step"),
        ((Step(key="a", after=("b",)), Step(key="b", after=("a",))), "in a circle: a → b → a|in a circle: b → a → b"),
        ((Step(key="a"), Step(key="b", aliases=("a",))), "alias 'a' of step 'b' is a step itself"),
    ],
)
def test_a_contradiction_is_an_error_that_names_it(steps: tuple[Step, ...], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        pipeline(*steps)


def test_the_order_of_the_list_is_the_order_unless_after_says_otherwise() -> None:
    made = pipeline(Step(key="a"), Step(key="b"), Step(key="c", after=("a",)), Step(key="d", after=()))
    assert [made.prerequisites(key) for key in "abcd"] == [(), ("a",), ("a",), ()]
    assert made.dependents("a") == ("b", "c")


def test_changes_are_told_in_words() -> None:
    older = pipeline(Step(key="a"), Step(key="b"), Step(key="c"))
    newer = pipeline(Step(key="c"), Step(key="a"), Step(key="b2", aliases=("b",)), Step(key="d"))
    assert newer.changes_since(older) == (
        "step b is now b2", "step d was added", "the order of the steps changed",
    )  # fmt: skip
    assert older.changes_since(older) == ()
    assert pipeline(Step(key="a")).changes_since(older) == ("step b was removed", "step c was removed")


def test_a_plan_leaves_out_and_adds_steps() -> None:
    made = pipeline(Step(key="a"), Step(key="b"), Step(key="c"))
    plan = Plan().with_steps(["u1", "u2"], "uploads").with_steps(["u1"]).without(["b"])
    assert [(step.key, step.group) for step in plan.steps(made)] == [
        ("a", "main"), ("c", "main"), ("u1", "uploads"), ("u2", "uploads"),
    ]  # fmt: skip
    assert missing(made, plan, {}, "c") == ("a",)
    assert missing(made, plan, {"a": ItemStatus.SKIPPED}, "c") == ()


def test_weights_and_running_steps_count() -> None:
    made = pipeline(Step(key="a", weight=3.0), Step(key="b"))
    states = {"a": ItemStatus.PROCESSING}
    assert item_fraction(made.steps, states, {"a": 50.0}) == pytest.approx(0.375)
    assert item_fraction(made.steps, {"a": ItemStatus.COMPLETED, "b": ItemStatus.FAILED}) == pytest.approx(0.75)
    assert item_fraction((), {}) == 0.0
