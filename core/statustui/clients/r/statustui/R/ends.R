# How a run ends: errors and interrupts that nobody catches, the status of quit(), the end of the process.

# R refuses global handlers below any other one, and the refusal would be an error of the script: so it is done at the
# first call from where none is.
.hook <- function() {
  if (.st$hooked) return(invisible())
  for (i in seq_len(sys.nframe())) {
    f <- sys.function(i)
    if (identical(f, base::tryCatch) || identical(f, base::withCallingHandlers)) return(invisible())
  }
  .st$hooked <- TRUE
  globalCallingHandlers(error = .on_error, interrupt = .on_interrupt)
  invisible()
}

.on_error <- function(e) .quiet({
  if (identical(.st$pid, Sys.getpid())) {
    .st$error <- .condition_fields(e, sys.calls())
    # A session goes on; the script that it sourced does not.
    if (interactive() && !is.null(.st$sourced)) .end_run("failed", .st$error)
  }
})

.on_interrupt <- function(i) .quiet({
  if (identical(.st$pid, Sys.getpid())) {
    .st$interrupted <- TRUE
    if (interactive() && !is.null(.st$sourced)) .end_run("cancelled", ",\"signal\":2")
  }
})

# Nothing tells a finalizer the status that R ends with: so a quit() in front of base's notes it first.
.quit <- function(save = "default", status = 0, runLast = TRUE) {
  .st$status <- status
  base::quit(save, status, runLast)
}

# A call without the values in it: do.call() and long literals bring data, and secrets, into calls.
.call_text <- function(one, depth = 0L) {
  if (is.symbol(one)) return(as.character(one))
  if (is.null(one)) return("NULL")
  if (!is.call(one)) {
    if (is.atomic(one) && length(one) == 1L && (is.numeric(one) || is.logical(one))) return(format(one))
    return(if (is.character(one)) "\"...\"" else paste0("<", class(one)[[1L]], ">"))
  }
  head <- one[[1L]]
  name <- if (is.symbol(head) || (is.call(head) && length(head) == 3L && as.character(head[[1L]]) %in% c("::", ":::", "$")))
    paste(deparse(head, nlines = 1L), collapse = "") else "(function)"
  if (name == "{") return("{ ... }")
  if (name == "function") return("function(...)")
  if (depth >= 3L || length(one) > 12L) return(paste0(name, "(...)"))
  given <- as.list(one)[-1L]
  shown <- vapply(given, function(a) if (identical(a, quote(expr = ))) "" else .call_text(a, depth + 1L), "")
  names <- names(given)
  if (!is.null(names)) shown <- ifelse(nzchar(names), paste0(names, " = ", shown), shown)
  if (length(shown) == 2L && grepl("^([-+*/^<>=!&|~:$@]+|%.*%|<-|\\[\\[?)$", name)) {
    if (name == "[") return(paste0(shown[[1L]], "[", shown[[2L]], "]"))
    if (name == "[[") return(paste0(shown[[1L]], "[[", shown[[2L]], "]]"))
    return(paste(shown[[1L]], name, shown[[2L]]))
  }
  paste0(name, "(", paste(shown, collapse = ", "), ")")
}

# What R and we add to the calls when an error is signalled.
.inner <- paste0(
  "^(\\(function\\)\\(<|\\.handleSimpleError|\\.signalSimpleWarning|h\\(simpleError|\\.quiet\\(|\\.on_error\\(|",
  "withRestarts\\(\\{|withOneRestart|doWithOneRestart|tryCatch|doTryCatch|withCallingHandlers|withVisible)"
)

.condition_fields <- function(e, calls) {
  lines <- vapply(utils::head(rev(calls), 60L), .call_text, "")
  where <- conditionCall(e)
  text <- conditionMessage(e)
  .error_fields(
    class(e)[[1L]], text,
    c(if (!is.null(where)) paste("Error in", .call_text(where), ":") else "Error:",
      text, "Traceback:", rev(lines[!grepl(.inner, lines)]))
  )
}

.at_exit <- function() {
  if (is.null(.st$run) || !identical(.st$pid, Sys.getpid())) return(invisible())
  # The runs around it end with it.
  repeat {
    .say_end()
    if (is.null(.st$outer)) break
    .resume(.st$outer)
  }
}

.say_end <- function() {
  status <- tryCatch(as.integer(.st$status), error = function(e) 0L)
  if (length(status) != 1L || is.na(status)) status <- 0L
  if (!is.null(.st$error) && !interactive()) {
    # With options(error = ) a script may go on after an error: then the status that it ends with tells.
    goes_on <- !is.null(getOption("error"))
    .end_run("failed", paste0(",\"exit_code\":", max(1L, status), if (goes_on) ",\"provisional\":true", .st$error))
  } else if (.st$interrupted && !interactive()) .end_run("cancelled", ",\"signal\":2")
  else if (status != 0L)
    .end_run("failed", paste0(
      ",\"exit_code\":", status, .error_fields("ExitStatus", paste0("quit(status = ", status, ")"))
    ))
  else .end_run("finished", ",\"exit_code\":0,\"provisional\":true")
}
