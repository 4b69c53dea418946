"""genter(), gexit(), gmessage() that a script or a package has already: recorded, and what is printed is the same."""

from pathlib import Path

import pytest

from support.rscripts import NEEDS_R, library, only, run, subs

pytestmark = NEEDS_R


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch, base_dir: Path) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("R_LIBS", library(base_dir))


TINY = """
tiny <- file.path(tempdir(), "tinypkg")
dir.create(file.path(tiny, "R"), recursive = TRUE)
writeLines(c("Package: tinypkg", "Version: 0.1", "Title: Tiny", "Description: Tiny.", "License: GPL-2"),
           file.path(tiny, "DESCRIPTION"))
writeLines("export(genter, gexit, work)", file.path(tiny, "NAMESPACE"))
writeLines('genter <- function(m) cat("PKG>", m, "\\n")
gexit <- function() cat("PKG<\\n")
work <- function(x) { genter("inside {x}"); on.exit(gexit()); x }', file.path(tiny, "R", "a.R"))
"""
INSTALLED = (
    TINY
    + """
lib <- file.path(tempdir(), "lib"); dir.create(lib); .libPaths(c(lib, .libPaths()))
invisible(system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "--no-docs", paste0("--library=", lib), tiny),
                  stdout = FALSE, stderr = FALSE))
"""
)
SUBS = [("inside 3", "completed"), ("script", "completed")]


def same(with_it: str, without: str, place: Path) -> None:
    """The script prints the same, byte for byte, and ends the same with and without the package."""
    plain, done = run(without, place), run(with_it, place)
    assert (done.stdout, done.stderr, done.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def both(body: str, place: Path) -> None:
    same(body.replace("@", "library(statustui)"), body.replace("@", ""), place)


@pytest.mark.parametrize(
    "order", ["@\nlibrary(tinypkg)", "library(tinypkg)\n@", "suppressMessages({@; library(tinypkg)})"]
)
def test_functions_of_a_package(order: str, env: Path, state_dir: Path) -> None:
    both(f'{INSTALLED}\n{order}\nwork(3)\ngenter("script"); gexit()\n', env)
    assert subs(only(state_dir)) == SUBS


def test_functions_of_a_package_loaded_by_load_all(env: Path, state_dir: Path) -> None:
    if run('if (!requireNamespace("pkgload", quietly = TRUE)) quit(status = 1)', env).returncode:
        pytest.skip("pkgload is missing (Debian: apt-get install --no-install-recommends r-cran-pkgload)")
    load = "pkgload::load_all(tiny, quiet = TRUE)"
    both(f'{TINY}\n@\n{load}\nwork(3)\ngenter("script"); gexit()\n{load}\nwork(4)\n', env)
    assert subs(only(state_dir)) == [*SUBS, ("inside 4", "completed")]


def test_a_package_that_becomes_loaded_in_one_expression_with_its_first_call(env: Path, state_dir: Path) -> None:
    # As load_all() does it: a namespace made by hand, with locked bindings, attached later.
    made = """
load <- function() {
  space <- loadNamespace("tinypkg", lib.loc = lib)
  attachNamespace(space)
}
"""
    both(f'{INSTALLED}{made}\n@\nload()\nwork(3)\ngenter("script"); gexit()\n', env)
    assert subs(only(state_dir)) == SUBS


def test_functions_of_an_attached_environment_and_of_a_sourced_file(env: Path, state_dir: Path) -> None:
    (env / "own.R").write_text('gmessage <- function(...) cat("own:", ..., "\\n")\n')
    both(
        'attach(list(genter = function(m) { cat(">", m, "\\n") }, gexit = function() cat("<\\n")), name = "mine")\n@\n'
        'source("own.R")\ngenter("a"); gmessage("rows", 3); gexit()\n',
        env,
    )
    found = only(state_dir)
    assert subs(found) == [("a", "completed")]
    assert found.subs[1].message == "rows"


def test_a_function_sees_where_it_was_called_from(env: Path, state_dir: Path) -> None:
    both(
        """
genter <- function(m, ...) {
  cat(deparse(sys.call(-1))[1], "|", deparse(sys.call())[1], "|", deparse(substitute(m)), "|", nargs(), missing(m), "|")
  if (sys.nframe() > 1) cat(setdiff(ls(parent.frame()), "gmessage"), "|", sys.nframe(), "\\n")
  if (!missing(m)) cat(m, "\\n")
  assign("seen", TRUE, envir = parent.frame())
  invisible(7)
}
gexit <- function() { on.exit(cat("bye\\n")); return("<") }
@
f <- function(q) { x <- 1; genter(paste("a", q), 2); cat(seen, "\\n"); gexit() }
f("zz")
print(genter(m = "top"))
(gexit())
genter()
gexit()
n <- 0
genter({ n <- n + 1; "once" })
cat(n, "\\n")
""",
        env,
    )
    assert [sub.name for sub in only(state_dir).subs.values()] == ["a zz", "top", "", "once"]


def test_a_workspace_that_is_cleared_and_filled_again(env: Path, state_dir: Path) -> None:
    both('@\nrm(list = ls())\ngenter <- function(m) cat("new", m, "\\n")\ngenter("a")\n', env)
    assert [sub.name for sub in only(state_dir).subs.values()] == ["a"]


def test_a_saved_workspace_holds_the_functions_of_the_script(env: Path, state_dir: Path) -> None:
    run('library(statustui)\ngenter <- function(m) cat("own", m, "\\n")\ngenter("a")\nquit("yes")\n', env)
    done = run('load(".RData"); print(ls()); print(body(genter)); print(environmentName(environment(genter)))', env)
    assert done.stdout == '[1] "genter"\ncat("own", m, "\\n")\n[1] "R_GlobalEnv"\n'


def test_what_can_not_be_wrapped_is_said_once(env: Path, state_dir: Path) -> None:
    done = run(
        "genter <- sum\ngmessage <- sum\nlibrary(statustui)\nfor (i in 1:3) print(genter(i, gmessage(1)))\n", env
    )
    assert done.stdout == "[1] 2\n[1] 3\n[1] 4\n"
    assert done.stderr == ("Warning: statustui: existing genter() could not be wrapped; its calls are not recorded\n")


def test_a_locked_function_stays_locked(env: Path, state_dir: Path) -> None:
    both(
        'genter <- function(m) cat("own", m, "\\n")\nlockBinding("genter", globalenv())\n@\ngenter("a")\n'
        'cat(bindingIsLocked("genter", globalenv()), "\\n")\n',
        env,
    )
    assert [sub.name for sub in only(state_dir).subs.values()] == ["a"]


def test_texts_are_filled_from_the_caller(env: Path, state_dir: Path) -> None:
    run(
        """
library(statustui)
n <- 0
f <- function(v, nothing = NULL) for (text in c(
  "a {v}", "b {nothing}.", "c {nope}", "d {{v}}", "e {v + 1}", "f {", "g {}", "h {mean}", "i {list(1)}", "j {1:30}",
  "k {1 +}"
)) { genter(text); gexit() }
f(c(1.5, 2))
genter(NULL); gexit()
genter(c("two", "texts")); gexit()
genter(NA); gexit()
""",
        env,
    )
    numbers = ", ".join(map(str, range(1, 21)))
    assert [sub.name for sub in only(state_dir).subs.values()] == [
        "a 1.5, 2.0", "b .", "c {nope}", "d {v}", "e 2.5, 3.0", "f {", "g {}", "h <function>",
        "i <list>", f"j {numbers}, ...",
        "k {1 +}", "", "two texts", "NA",
    ]  # fmt: skip


def test_nothing_is_done_twice_for_a_text_that_the_script_fills_itself(env: Path, state_dir: Path) -> None:
    both(
        """
n <- 0
bump <- function() n <<- n + 1
genter <- function(m) for (e in regmatches(m, gregexpr("[{][^}]*[}]", m))[[1]]) eval(str2lang(e), parent.frame())
@
genter("{bump()} {toupper('x')} {n <- n + 1}")
cat(n, "\\n")
""",
        env,
    )
    assert [sub.name for sub in only(state_dir).subs.values()] == ["{bump()} X {n <- n + 1}"]
