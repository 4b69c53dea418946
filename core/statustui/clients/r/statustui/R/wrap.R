# Functions of these names that a script has already: they are still called, so that what it prints stays as it is.

.names <- c("genter", "gexit", "gmessage")
.originals <- new.env(parent = emptyenv())

.is_ours <- function(f) identical(environment(f), asNamespace("statustui")) || isTRUE(attr(f, "statustui"))

# The script's own function: assigned in the workspace, else the first on the search path.
.original <- function(name) {
  found <- .originals[[name]]
  if (!is.null(found)) return(found)
  for (place in search()[-1L]) {
    where <- as.environment(place)
    f <- get0(name, envir = where, mode = "function", inherits = FALSE)
    if (!is.null(f) && !.is_ours(f)) return(f)
  }
  NULL
}

.call <- function(f, arguments, frame) {
  quoted <- lapply(arguments, function(a) if (is.language(a)) call("quote", a) else a)
  eval(as.call(c(list(f), quoted)), frame)
}

.record <- function(name, arguments, frame) {
  .quiet({
    text <- if (length(arguments)) .filled(arguments[[1L]], frame)
    if (name == "genter") .enter(if (is.null(text)) "" else text, frame)
    else if (!is.null(.st$run)) {
      if (.st$pid != Sys.getpid()) .worker()
      if (name == "gexit") {
        .close_left()
        .end_sub("completed", text)
      } else if (!is.null(text)) {
        top <- .top()
        fields <- paste0(",\"message\":\"", .json(text), "\"")
        if (is.null(top)) .tell("run.info", fields) else .tell("sub.info", paste0(",\"n\":", top$n, fields))
      }
    } else if (name == "gmessage" && .begin()) {
      .tell("run.info", paste0(",\"message\":\"", .json(text), "\""))
    }
    text
  })
}

.both <- function(name, arguments, frame, f = .original(name)) {
  .hook()
  text <- .record(name, arguments, frame)
  if (!is.null(f)) return(.call(f, arguments, frame))
  if (length(arguments)) .say(if (is.null(text)) as.character(arguments[[1L]]) else text)
  invisible()
}

genter <- function(message, ...) {
  invisible(.both("genter", if (missing(message)) list() else list(message, ...), parent.frame()))
}

gexit <- function(...) invisible(.both("gexit", list(...), parent.frame()))

gmessage <- function(message, ...) {
  invisible(.both("gmessage", if (missing(message)) list() else list(message, ...), parent.frame()))
}

.wrapper <- function(name, f) {
  force(name)
  force(f)
  structure(function(...) .both(name, list(...), parent.frame(), f), statustui = TRUE)
}

# A binding in the workspace that keeps what is assigned to it, and gives the function that records and calls it.
.bind <- function(name) {
  where <- globalenv()
  if (.is_active(name, where)) return(invisible())
  present <- get0(name, envir = where, mode = "function", inherits = FALSE)
  if (!is.null(present)) {
    .originals[[name]] <- present
    rm(list = name, envir = where)
  }
  ours <- get(name, envir = asNamespace("statustui"))
  makeActiveBinding(name, function(value) {
    if (missing(value)) return(ours)
    if (!.is_ours(value)) .originals[[name]] <- value
  }, where)
}

.is_active <- function(name, where) exists(name, envir = where, inherits = FALSE) && bindingIsActive(name, where)

# Calls inside a package go to its own namespace.
.wrap_namespaces <- function() {
  for (package in setdiff(loadedNamespaces(), c("statustui", "base"))) {
    space <- asNamespace(package)
    for (name in .names) {
      f <- get0(name, envir = space, mode = "function", inherits = FALSE)
      if (is.null(f) || .is_ours(f)) next
      locked <- bindingIsLocked(name, space)
      if (locked) get("unlockBinding", baseenv())(name, space)
      assign(name, .wrapper(name, f), envir = space)
      if (locked) lockBinding(name, space)
      place <- paste0("package:", package)
      if (place %in% search()) {
        # The attached copy is found by .original(): calls from the script are recorded once.
        .originals[[name]] <- f
      }
    }
  }
}

.onAttach <- function(libname, pkgname) {
  done <- tryCatch({
    for (name in .names) .bind(name)
    .wrap_namespaces()
    .attach_quit()
    TRUE
  }, error = function(e) FALSE)
  if (!done) .warn_once("existing genter(), gexit() and gmessage() could not be wrapped")
}

.onLoad <- function(libname, pkgname) {
  reg.finalizer(.st, function(e) .quiet(.at_exit()), onexit = TRUE)
}

.onDetach <- function(libpath) {
  if (.quits %in% search()) detach(.quits, character.only = TRUE)
  for (name in .names) if (.is_active(name, globalenv())) {
    rm(list = name, envir = globalenv())
    f <- .originals[[name]]
    if (!is.null(f)) assign(name, f, envir = globalenv())
  }
}

# Errors and interrupts that nobody catches. R refuses that below any handler, and the refusal would be an error of the
# script: so it is done at the first call from where none is.
.hook <- function() {
  if (.st$hooked) return(invisible())
  for (i in seq_len(sys.nframe())) {
    f <- sys.function(i)
    if (identical(f, base::tryCatch) || identical(f, base::withCallingHandlers)) return(invisible())
  }
  .st$hooked <- TRUE
  globalCallingHandlers(
    error = function(e) .quiet(.st$error <- .condition_fields(e, sys.calls())),
    interrupt = function(i) .st$interrupted <- TRUE
  )
}

# Nothing tells a finalizer the status that R ends with: so a quit() in front of base's notes it first. It is attached
# apart, without a message about what it masks.
.quit <- function(save = "default", status = 0, runLast = TRUE) {
  .st$status <- status
  base::quit(save, status, runLast)
}

.quits <- "statustui:quit"

.attach_quit <- function() {
  if (!.quits %in% search()) attach(list(quit = .quit, q = .quit), name = .quits, warn.conflicts = FALSE)
}

.condition_fields <- function(e, calls) {
  lines <- vapply(utils::head(rev(calls), 60L), function(one) paste(deparse(one, nlines = 1L), collapse = ""), "")
  shown <- !grepl("^(\\.handleSimpleError|h\\(simpleError|\\(function \\(e\\)|\\.quiet|tryCatch|doTryCatch)", lines)
  where <- conditionCall(e)
  text <- conditionMessage(e)
  .error_fields(
    class(e)[[1L]], text,
    c(if (!is.null(where)) paste("Error in", paste(deparse(where, nlines = 1L), collapse = ""), ":") else "Error:",
      text, "Traceback:", rev(lines[shown]))
  )
}

.at_exit <- function() {
  if (is.null(.st$run) || !identical(.st$pid, Sys.getpid())) return(invisible())
  status <- tryCatch(as.integer(.st$status), error = function(e) 0L)
  if (length(status) != 1L || is.na(status)) status <- 0L
  if (!is.null(.st$error) && !interactive()) .end_run("failed", paste0(",\"exit_code\":1", .st$error))
  else if (.st$interrupted && !interactive()) .end_run("cancelled", ",\"signal\":2")
  else if (status != 0L)
    .end_run("failed", paste0(
      ",\"exit_code\":", status, .error_fields("ExitStatus", paste0("quit(status = ", status, ")"))
    ))
  else .end_run("finished", ",\"exit_code\":0,\"provisional\":true")
}
