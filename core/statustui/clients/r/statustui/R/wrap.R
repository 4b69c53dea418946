# Functions of these names that a script has already: a copy of each notes the call and goes on as the function itself,
# called from where it was called. So parent.frame(), sys.call(), substitute(), what it prints and returns stay the same.

.names <- c("genter", "gexit", "gmessage")
.own <- new.env(parent = emptyenv())
.copies <- new.env(parent = emptyenv())

.is_ours <- function(f) identical(environment(f), asNamespace("statustui"))

# The first thing that a copy does. Its frame is that of the call, its caller the script.
.note <- function(name, first) {
  frame <- parent.frame()
  caller <- parent.frame(2L)
  .hook()
  .quiet({
    value <- NULL
    if (first == "...") value <- eval(quote(if (...length()) ..1), frame)
    else if (nzchar(first)) {
      absent <- eval(call("missing", as.name(first)), frame)
      if (!absent || !identical(formals(sys.function(-1L))[[first]], quote(expr = ))) value <- get(first, envir = frame)
    }
    .record(name, if (!is.null(value)) .filled(value, caller, only_names = TRUE), caller)
  })
}

.is_noting <- function(f) {
  b <- body(f)
  is.call(b) && length(b) == 4L && is.call(b[[3L]]) && is.function(b[[3L]][[1L]]) && identical(b[[3L]][[1L]], .note)
}

# The copy of a script's function that notes its calls; NULL where there can be none.
.noting <- function(name, f) {
  if (typeof(f) != "closure" || isS4(f)) return(NULL)
  if (.is_ours(f) || .is_noting(f)) return(f)
  known <- .copies[[name]]
  if (!is.null(known) && identical(known$of, f)) return(known$copy)
  first <- c(names(formals(f)), "")[[1L]]
  # The argument is evaluated by the function itself, so that an error in it looks as it did.
  force <- if (!first %in% c("", "..."))
    as.call(list(base::`if`, as.call(list(base::`!`, as.call(list(base::missing, as.name(first))))), as.name(first)))
  text <- as.call(list(as.name("{"), force, as.call(list(.note, name, first)), body(f)))
  copy <- as.function(c(formals(f), list(text)), envir = environment(f))
  attributes(copy) <- attributes(f)
  .copies[[name]] <- list(of = f, copy = copy)
  copy
}

# What a name stands for: the script's own function, assigned in the workspace or attached, else ours.
.current <- function(name) {
  own <- .own[[name]]
  if (is.null(own)) {
    if (.asked_for_conflicts()) return(NULL)
    own <- .on_path(name)
  }
  if (is.null(own)) return(get(name, envir = asNamespace("statustui")))
  if (!is.function(own)) return(own)
  copy <- .noting(name, own)
  if (is.null(copy)) {
    .not_wrapped(name)
    return(own)
  }
  copy
}

# The function that is attached; where it was is looked up anew after each expression at top level.
.on_path <- function(name) {
  places <- search()
  if (!identical(places, .st$places)) {
    .st$places <- places
    .st$found <- list()
    for (one in .names) for (place in setdiff(places[-1L], "package:statustui")) {
      where <- as.environment(place)
      if (!is.null(get0(one, envir = where, mode = "function", inherits = FALSE))) {
        .st$found[[one]] <- where
        break
      }
    }
  }
  where <- .st$found[[name]]
  if (!is.null(where)) get0(name, envir = where, mode = "function", inherits = FALSE)
}

# library() and load_all() tell of functions that mask others. Ours stand in front of none.
.asked_for_conflicts <- function() {
  # What a call looks up comes from the frame of the caller itself: nothing to be searched.
  last <- sys.nframe()
  if (last < 3L || !(.looks_up(sys.call(last - 2L)) || (last > 3L && .looks_up(sys.call(last - 3L))))) return(FALSE)
  for (i in seq.int(max(1L, last - 15L), last)) {
    head <- sys.call(i)[[1L]]
    if (is.symbol(head) && as.character(head) %in% c("checkConflicts", "warn_if_conflicts")) return(TRUE)
  }
  FALSE
}

.looks_up <- function(one) {
  head <- one[[1L]]
  is.symbol(head) && as.character(head) %in% c("exists", "get", "get0", "FUN", "warn_if_conflicts")
}

# Our own functions where the package is attached, on the same terms.
.veil <- function() {
  where <- as.environment("package:statustui")
  for (name in .names) local({
    ours <- get(name, envir = asNamespace("statustui"))
    rm(list = name, envir = where)
    makeActiveBinding(name, function() if (!.asked_for_conflicts()) ours, where)
  })
}

.not_wrapped <- function(what) .warn_once(paste0("existing ", what, "() could not be wrapped; its calls are not recorded"))

# Recording of genter(), gexit() and gmessage().
.record <- function(name, text, frame) {
  if (name == "genter") return(.enter(if (is.null(text)) "" else text, frame, guard = TRUE))
  if (!is.null(.st$run)) {
    if (.st$pid != Sys.getpid()) .worker()
    if (name == "gexit") {
      .close_left()
      return(.end_sub("completed", text))
    }
    if (is.null(text)) return(invisible())
    top <- .top()
    fields <- paste0(",\"message\":\"", .json(text), "\"")
    if (is.null(top)) .tell("run.info", fields) else .tell("sub.info", paste0(",\"n\":", top$n, fields))
  } else if (name == "gmessage" && !is.null(text) && .begin()) {
    .tell("run.info", paste0(",\"message\":\"", .json(text), "\""))
  }
}

# Ours, where the script has none: they say what they are given.
.ours <- function(name, given, frame, more = list()) {
  .hook()
  own <- .attached(name)
  if (!is.null(own)) return(eval(as.call(c(list(own), lapply(c(given, more), .quoted))), frame))
  text <- if (length(given)) .filled(given[[1L]], frame)
  .quiet(.record(name, text, frame))
  if (!is.null(text)) .say(text)
  invisible()
}

.quoted <- function(a) if (is.language(a)) call("quote", a) else a

# Called as statustui::genter(), or after rm(list = ls()): a function that was attached counts all the same.
.attached <- function(name) {
  f <- .current(name)
  if (is.function(f) && !.is_ours(f)) f
}

genter <- function(message, ...) .ours("genter", if (!missing(message)) list(message), parent.frame(), list(...))

gexit <- function(...) .ours("gexit", list(...), parent.frame())

gmessage <- function(message, ...) .ours("gmessage", if (!missing(message)) list(message), parent.frame(), list(...))

.is_active <- function(name, where) exists(name, envir = where, inherits = FALSE) && bindingIsActive(name, where)

# A binding in the workspace that keeps what is assigned to it, and gives the copy that notes its calls.
.bind <- function(name) {
  where <- globalenv()
  if (.is_active(name, where)) return(invisible())
  locked <- FALSE
  if (exists(name, envir = where, inherits = FALSE)) {
    locked <- bindingIsLocked(name, where)
    .own[[name]] <- get(name, envir = where, inherits = FALSE)
    rm(list = name, envir = where)
  } else if (exists(name, envir = .own, inherits = FALSE)) {
    rm(list = name, envir = .own)
  }
  makeActiveBinding(name, function(value) {
    if (missing(value)) return(.current(name))
    if (is.function(value) && (.is_ours(value) || .is_noting(value))) return(invisible())
    .own[[name]] <- value
  }, where)
  if (locked) lockBinding(name, where)
}

# Calls inside a package go to its own namespace, or to what that imports.
.wrap_namespaces <- function() {
  packages <- loadedNamespaces()
  .st$spaces <- packages
  .st$wrapped <- list()
  for (package in setdiff(packages, c("statustui", "base"))) {
    space <- asNamespace(package)
    mine <- FALSE
    for (where in list(space, parent.env(space))) for (name in .names) {
      f <- get0(name, envir = where, mode = "function", inherits = FALSE)
      if (is.null(f)) next
      mine <- TRUE
      if (.is_ours(f) || .is_noting(f)) next
      copy <- .noting(name, f)
      done <- !is.null(copy) && tryCatch({
        locked <- bindingIsLocked(name, where)
        if (locked) get("unlockBinding", baseenv())(name, where)
        assign(name, copy, envir = where)
        if (locked) lockBinding(name, where)
        TRUE
      }, error = function(e) FALSE)
      if (!done) .not_wrapped(paste0(package, "::", name))
    }
    if (mine) .st$wrapped[[package]] <- space
  }
}

# Packages that came since, the same ones loaded anew, and a workspace that was cleared.
.look <- function() {
  .st$places <- NULL
  for (name in .names) if (!.is_active(name, globalenv())) .bind(name)
  fresh <- identical(loadedNamespaces(), .st$spaces)
  for (package in names(.st$wrapped)) if (!identical(asNamespace(package), .st$wrapped[[package]])) fresh <- FALSE
  if (!fresh) .wrap_namespaces()
}

# The package that the script stands in will come by load_all(), maybe in the midst of something: wrapped as it comes.
.expect_package <- function() {
  script <- .script()
  for (place in unique(c(getwd(), if (nzchar(script)) dirname(script)))) {
    for (level in 1:6) {
      file <- file.path(place, "DESCRIPTION")
      if (file.exists(file)) {
        name <- sub("^Package:[[:space:]]*", "", grep("^Package:", readLines(file, warn = FALSE), value = TRUE))
        if (length(name)) setHook(packageEvent(trimws(name[[1L]]), "onLoad"), function(...) .quiet(.wrap_namespaces()))
        break
      }
      place <- dirname(place)
    }
  }
}

# After each expression at top level, where no handler stands around us.
.after_each <- function(...) {
  .quiet({
    .hook()
    .look()
    if (!is.null(.st$sourced)) .end_run("finished")
    if (interactive()) {
      .st$error <- NULL
      .st$interrupted <- FALSE
    }
  })
  TRUE
}

.task <- "statustui"
.apart <- "statustui:session"

.onAttach <- function(libname, pkgname) {
  done <- tryCatch({
    for (name in .names) .bind(name)
    .wrap_namespaces()
    TRUE
  }, error = function(e) FALSE)
  if (!done) .warn_once("existing genter(), gexit() and gmessage() could not be wrapped; their calls are not recorded")
  .quiet(.expect_package())
  .quiet(.veil())
  # Else library() would tell on stderr which functions of the script have the same names.
  .quiet(assign(".conflicts.OK", TRUE, envir = as.environment("package:statustui")))
  .quiet({
    # Attached apart, without a message about what it masks.
    if (!.apart %in% search())
      attach(list(quit = .quit, q = .quit, .Last = .unbind), name = .apart, warn.conflicts = FALSE)
    if (!.task %in% getTaskCallbackNames()) addTaskCallback(.after_each, name = .task)
  })
}

.onLoad <- function(libname, pkgname) {
  reg.finalizer(.st, function(e) .quiet(.at_exit()), onexit = TRUE)
}

# The workspace as the script made it: so it is saved.
.unbind <- function() .quiet({
  for (name in .names) if (.is_active(name, globalenv())) {
    rm(list = name, envir = globalenv())
    if (exists(name, envir = .own, inherits = FALSE)) assign(name, .own[[name]], envir = globalenv())
  }
})

.onDetach <- function(libpath) {
  removeTaskCallback(.task)
  if (.apart %in% search()) detach(.apart, character.only = TRUE)
  .unbind()
}
