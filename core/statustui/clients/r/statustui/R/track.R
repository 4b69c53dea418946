.say <- function(text) {
  second <- floor(as.numeric(Sys.time()))
  if (!identical(second, .st$second)) {
    .st$second <- second
    .st$stamp <- strftime(Sys.time(), "[%H:%M:%S] ")
  }
  cat(.st$stamp, text, "\n", sep = "")
}

# {name} in a text, from where it was called. What can not be evaluated stays as it is.
.filled <- function(text, where, only_names = FALSE) {
  text <- tryCatch(paste(as.character(text), collapse = " "), error = function(e) "")
  if (length(text) != 1L || !grepl("{", text, fixed = TRUE)) return(text)
  found <- gregexpr("\\{\\{|\\}\\}|\\{[^{}]+\\}", text)[[1L]]
  if (found[[1L]] < 0L) return(text)
  ends <- found + attr(found, "match.length")
  between <- substring(text, c(1L, ends), c(found - 1L, nchar(text)))
  parts <- vapply(substring(text, found, ends - 1L), function(part) {
    if (part == "{{") return("{")
    if (part == "}}") return("}")
    tryCatch({
      what <- str2lang(substr(part, 2L, nchar(part) - 1L))
      if (only_names && !.harmless(what, where)) return(part)
      .shown(eval(what, where))
    }, error = function(e) part)
  }, "", USE.NAMES = FALSE)
  paste0(c(rbind(between, c(parts, ""))), collapse = "")
}

# Functions without an effect. Others are not called for a text that a function of the script evaluates itself: it
# would be done twice.
.pure <- c("+", "-", "*", "/", "^", "%%", "%/%", "(", "$", "[", "[[", ":", "==", "!=", "<", ">", "<=", ">=", "!", "&",
           "|", "c", "length", "nrow", "ncol", "names", "round", "signif", "floor", "ceiling", "abs", "sum", "min", "max",
           "mean", "nchar", "paste", "paste0", "sprintf", "format", "formatC", "prettyNum", "toupper", "tolower", "trimws",
           "basename", "dirname", "substr", "sub", "gsub", "seq_along", "seq_len", "rev", "unique", "sort", "head", "tail",
           "as.character", "as.integer", "as.numeric", "is.null", "if", "Sys.Date", "Sys.time", "date")

.harmless <- function(what, where) {
  if (!is.call(what)) return(TRUE)
  called <- setdiff(all.names(what), all.names(what, functions = FALSE))
  all(called %in% .pure) && all(vapply(called, function(name) {
    f <- get0(name, envir = where, mode = "function")
    is.primitive(f) || (!is.null(f) && environmentName(environment(f)) %in% c("base", "utils"))
  }, NA))
}

.shown <- function(value) {
  if (is.function(value)) return("<function>")
  if (is.null(value)) return("")
  if (is.environment(value) || (is.list(value) && !inherits(value, "POSIXlt"))) return(paste0("<", class(value)[[1L]], ">"))
  some <- utils::head(value, 20L)
  text <- paste(if (is.character(some)) some else format(some, trim = TRUE), collapse = ", ")
  if (length(value) > 20L) paste0(text, ", ...") else text
}

# Whatever goes wrong in recording stays here.
.quiet <- function(expr) tryCatch(expr, error = function(e) NULL)

.flush <- function() {
  late <- .st$late
  if (!is.null(late)) {
    .st$late <- NULL
    .put(late[[1L]], if (length(late) == 2L) late[[2L]] else .item_fields(late[[2L]], late[[3L]], late[[4L]], late[[5L]]))
  }
}

.item_fields <- function(n, done, all, said) {
  done <- .number(done)
  all <- .number(all)
  paste0(
    ",\"n\":", n, if (!is.null(done)) paste0(",\"complete\":", done), if (!is.null(all)) paste0(",\"total\":", all),
    if (!is.null(said)) paste0(",\"message\":\"", .json(said), "\"")
  )
}

# Progress: forty at once, then two a second; the last one is kept until there is room for it.
.tell <- function(kind, fields, now = FALSE) .room(list(kind, fields), now)

.room <- function(late, now) {
  at <- proc.time()[[3L]]
  if (at > .st$filled) {
    .st$left <- min(40, .st$left + 2 * (at - .st$filled))
    .st$filled <- at
  }
  .st$late <- late
  if (now || .st$left >= 1) {
    .st$left <- .st$left - 1
    .quiet(.flush())
  }
}

.top <- function() if (length(.st$open)) .st$open[[length(.st$open)]] else NULL

# The calling function of a subtask returned without gexit(), or failed: told by on.exit() in its frame.
.guard <- function(frame) {
  if (.among(frame, .st$guarded)) return(invisible())
  .quiet({
    # Of local() and eval() nothing tells whether they failed.
    known <- TRUE
    frames <- sys.frames()
    for (i in rev(seq_along(frames))) if (identical(frames[[i]], frame)) {
      known <- typeof(sys.function(i)) == "closure" && !identical(sys.function(i), base::eval)
      break
    }
    do.call(base::on.exit, list(as.call(list(.left, frame, known)), TRUE), envir = frame)
    .st$guarded[[length(.st$guarded) + 1L]] <- frame
  })
}

.none <- new.env()

.left <- function(frame, known) {
  failed <- if (known) identical(returnValue(.none), .none) else !is.null(.st$error) || .st$interrupted
  .quiet({
    for (i in rev(seq_along(.st$guarded))) if (identical(.st$guarded[[i]], frame)) .st$guarded[[i]] <- NULL
    if (length(.st$open) && identical(.st$pid, Sys.getpid())) {
      theirs <- which(vapply(.st$open, function(one) identical(one$frame, frame), NA))
      status <- if (!failed) "completed" else if (.st$interrupted) "cancelled" else "failed"
      if (length(theirs)) while (length(.st$open) >= theirs[[1L]] && .end_sub(status)) NULL
    }
  })
}

# The same where the function has replaced what on.exit() held.
.close_left <- function() {
  if (length(.st$guarded) == 0L && (!length(.st$open) || identical(.top()$frame, globalenv()))) return(invisible())
  frames <- sys.frames()
  while (!is.null(top <- .top())) {
    if (identical(top$frame, globalenv()) || .among(top$frame, frames) || !.end_sub("completed")) break
  }
  for (i in rev(seq_along(.st$guarded))) if (!.among(.st$guarded[[i]], frames)) .st$guarded[[i]] <- NULL
}

.among <- function(frame, frames) {
  for (one in frames) if (identical(one, frame)) return(TRUE)
  FALSE
}

# FALSE where nothing is open that may be ended here.
.end_sub <- function(status, message = NULL) {
  top <- .top()
  if (is.null(top) || length(.st$open) <= .st$floor) return(invisible(FALSE))
  .flush()
  .st$open[[length(.st$open)]] <- NULL
  .put("sub.end", paste0(
    ",\"n\":", top$n, ",\"status\":\"", status, "\"",
    if (!is.null(message)) paste0(",\"message\":\"", .json(message), "\"")
  ))
  invisible(TRUE)
}

.enter <- function(name, frame, inside = TRUE, total = NULL, guard = FALSE) {
  if (!.begin()) return(invisible())
  .flush()
  .close_left()
  if (!inside && length(.st$open)) .end_sub("completed")
  up <- .top()
  .st$number <- .st$number + 1
  n <- sprintf("%.0f", .st$number)
  .put("sub.start", paste0(
    ",\"n\":", n, ",\"name\":\"", .json(name), "\"",
    if (!is.null(up)) paste0(",\"parent\":", up$n),
    if (!is.null(total)) paste0(",\"total\":", .number(total))
  ))
  .st$open[[length(.st$open) + 1L]] <- list(n = n, name = name, frame = frame, done = 0)
  if (guard && !identical(frame, globalenv())) .guard(frame)
}

.end_run <- function(status, fields = "") {
  if (is.null(.st$run) || !identical(.st$pid, Sys.getpid()) || !is.null(.st$cells)) return(invisible())
  .flush()
  # At the end of the script the run's own end closes them, as that turns out to be.
  if (status == "finished" && !grepl("provisional", fields, fixed = TRUE))
    while (.end_sub("completed")) NULL
  .put("run.end", paste0(",\"status\":\"", status, "\"", fields))
  .st$run <- .st$sourced <- NULL
  .st$open <- .st$guarded <- list()
  tryCatch(close(.st$con), error = function(e) NULL)
  .st$con <- NULL
  Sys.unsetenv(.variables)
}

.variables <- c("STATUSTUI_R", "STATUSTUI_CONTEXT", "STATUSTUI_OWNER", "STATUSTUI_SUBTASK")

# A run within a run: what is known of the outer one, kept while the inner one is recorded.
.suspend <- function() {
  if (is.null(.st$run) || !identical(.st$pid, Sys.getpid()) || !is.null(.st$cells)) return(NULL)
  .flush()
  kept <- as.list(.st, all.names = TRUE)[c(
    "run", "open", "number", "con", "file", "spool", "writer", "offset", "guarded", "floor", "sourced", "outer",
    "bytes", "limit", "dropped", "lost", "since", "told", "checked", "error", "interrupted"
  )]
  kept$variables <- Sys.getenv(.variables, unset = NA)
  .st$outer <- kept
  .st$run <- .st$con <- NULL
  kept
}

.resume <- function(kept) {
  variables <- kept$variables
  kept$variables <- NULL
  for (name in setdiff(names(kept), c("error", "interrupted", NA))) assign(name, kept[[name]], envir = .st)
  for (name in c("sourced", "outer")) if (is.null(kept[[name]])) .st[[name]] <- NULL
  set <- variables[!is.na(variables)]
  if (length(set)) do.call(Sys.setenv, as.list(set))
}

.error_fields <- function(type, message, detail = NULL) {
  top <- .top()
  paste0(
    ",\"error\":{\"type\":\"", .json(type), "\",\"message\":\"", .json(message), "\"",
    if (!is.null(detail)) paste0(",\"detail\":\"", .json(paste(detail, collapse = "\n")), "\""),
    if (!is.null(top)) paste0(",\"subtask\":", top$n), "}"
  )
}

track_init <- function(script_name = NULL, total_tasks = NULL, category = NULL, task_name = script_name,
                       total_subtasks = total_tasks, stage = category) {
  .hook()
  .quiet({
    .end_run("finished")
    .st$tried <- FALSE
    name <- if (is.null(task_name)) "" else sub("\\.(R|r|Rmd|py|sh)$", "", basename(as.character(task_name)))
    .begin(name, if (is.null(stage)) "" else as.character(stage), c(.number(total_subtasks), "")[[1L]])
  })
  invisible(.st$run)
}

track_status <- function(status = "RUNNING", current_subtask = NULL, subtask_name = NULL, subtask_status = NULL,
                         overall_percent = NULL, overall_message = NULL, subtask_percent = NULL,
                         subtask_message = NULL, subtask_items_total = NULL, subtask_items_complete = NULL,
                         current_task = current_subtask, task_name = subtask_name, task_status = subtask_status,
                         task_percent = subtask_percent, task_message = subtask_message,
                         task_items_total = subtask_items_total, task_items_complete = subtask_items_complete) {
  if (is.null(.st$run)) return(invisible())
  frame <- parent.frame()
  subtask_message <- if (!is.null(task_message)) .filled(task_message, frame)
  overall_message <- if (!is.null(overall_message)) .filled(overall_message, frame)
  .quiet({
    if (.st$pid != Sys.getpid()) .worker()
    if (!is.null(task_name)) {
      task_name <- .filled(task_name, frame)
      if (is.null(.top()) || .top()$name != task_name) .enter(task_name, globalenv(), inside = FALSE)
    }
    top <- .top()
    done <- .number(task_items_complete)
    all <- .number(task_items_total)
    fields <- paste0(
      if (!is.null(done)) paste0(",\"complete\":", done), if (!is.null(all)) paste0(",\"total\":", all),
      if (!is.null(task_percent)) paste0(",\"percent\":", .number(task_percent)),
      if (!is.null(subtask_message)) paste0(",\"message\":\"", .json(subtask_message), "\"")
    )
    if (!is.null(top) && nzchar(fields)) {
      .tell("sub.info", paste0(",\"n\":", top$n, fields), identical(done, all))
    } else if (is.null(top) && !is.null(subtask_message)) {
      .tell("run.info", paste0(",\"message\":\"", .json(subtask_message), "\""))
    }
    whole <- paste0(
      if (!is.null(overall_percent)) paste0(",\"percent\":", .number(overall_percent)),
      if (!is.null(overall_message)) paste0(",\"message\":\"", .json(overall_message), "\"")
    )
    if (nzchar(whole)) .put("run.info", whole)
    if (!is.null(task_status) && toupper(task_status) %in% c("COMPLETED", "FAILED", "SKIPPED"))
      .end_sub(tolower(task_status))
    if (toupper(status) == "FAILED") .end_run("failed", .error_fields("Error", "the script reported a failure"))
    else if (toupper(status) %in% c("FINISHED", "CANCELLED")) .end_run(tolower(status))
  })
  said <- if (!is.null(subtask_message)) subtask_message else overall_message
  if (!is.null(said)) .say(said)
  invisible()
}

track_task_progress <- function(items_complete = NULL, items_total = NULL, message = NULL) {
  if (is.null(.st$run)) return(invisible())
  said <- if (!is.null(message)) .filled(message, parent.frame())
  if (.st$pid != Sys.getpid()) .quiet(.worker())
  depth <- length(.st$open)
  if (depth) {
    .room(
      list("sub.info", .st$open[[depth]]$n, items_complete, items_total, said),
      !is.null(items_total) && isTRUE(items_complete == items_total)
    )
  } else if (!is.null(said)) {
    .room(list("run.info", paste0(",\"message\":\"", .json(said), "\"")), FALSE)
  }
  if (!is.null(said)) .say(said)
  invisible()
}

track_advance <- function(n = 1, subtask = NULL) {
  .quiet({
    if (is.null(.st$run)) .from_environment()
    if (!is.null(.st$run)) {
      if (.st$pid != Sys.getpid()) .worker()
      top <- .top()
      number <- if (!is.null(subtask)) subtask else top$n
      if (!is.null(.st$cells)) {
        if (!is.null(number)) .count(number, n)
      } else if (!is.null(top)) {
        top$done <- top$done + n
        .st$open[[length(.st$open)]] <- top
        .room(list("sub.info", top$n, top$done, NULL, NULL), FALSE)
      }
    }
  })
  invisible()
}

track_finish <- function(message = "Script completed successfully") {
  if (is.null(.st$run)) return(invisible())
  said <- .filled(message, parent.frame())
  .quiet(.end_run("finished", paste0(",\"message\":\"", .json(said), "\"")))
  .say(said)
  invisible()
}

track_error <- function(error_msg, error_detail = NULL, error_message = error_msg, detail = error_detail) {
  if (is.null(.st$run)) return(invisible())
  said <- if (inherits(error_message, "condition")) conditionMessage(error_message)
          else .filled(error_message, parent.frame())
  type <- if (inherits(error_message, "condition")) class(error_message)[[1L]] else "Error"
  .quiet(.end_run("failed", .error_fields(type, said, detail)))
  message("ERROR: ", said)
  invisible()
}

with_tracking <- function(expr, name = NULL, total = NULL, stage = NULL) {
  .hook()
  outer <- .quiet(.suspend())
  track_init(name, total, stage)
  run <- .st$run
  ended <- "finished"
  fields <- ""
  # return(), break and next that leave the block are ends like any other.
  on.exit(.quiet({
    if (!is.null(run) && identical(.st$run, run)) .end_run(ended, fields)
    if (!is.null(outer)) .resume(outer)
  }))
  value <- withVisible(withCallingHandlers(
    expr,
    error = function(e) {
      ended <<- "failed"
      .quiet(fields <<- .condition_fields(e, sys.calls()))
    },
    interrupt = function(i) ended <<- "cancelled"
  ))
  ended <- "finished"
  fields <- ""
  if (value$visible) value$value else invisible(value$value)
}

track_along <- function(x, f, ..., name = "items", cores = 1L, cl = NULL) {
  .hook()
  f <- match.fun(f)
  .quiet(.enter(name, environment(), total = length(x)))
  # NULL where nothing is recorded.
  top <- .top()
  number <- if (!is.null(top) && identical(top$frame, environment())) top$n
  ended <- "completed"
  why <- NULL
  # What f left open by a jump is closed with it.
  on.exit(.quiet(if (!is.null(number)) {
    own <- which(vapply(.st$open, function(one) identical(one$n, number), NA))
    if (length(own)) {
      while (length(.st$open) > own[[1L]] && .end_sub(ended)) NULL
      .end_sub(ended, why)
    }
  }))
  value <- withCallingHandlers(
    .along(x, f, ..., .number = number, .cores = cores, .cl = cl),
    error = function(e) ended <<- "failed",
    interrupt = function(i) ended <<- "cancelled"
  )
  ended <- "completed"
  missed <- if (is.null(cl) && cores > 1L) .missed(value)
  if (length(missed)) {
    ended <- "failed"
    why <- paste(length(missed), "of", length(x), "items failed")
  }
  value
}

# Items of mclapply that gave an error; of a worker that was killed nothing tells but that f has never to give NULL.
.missed <- function(value) which(vapply(value, function(one) inherits(one, "try-error"), NA))

.along <- function(x, f, ..., .number, .cores, .cl) {
  if (!is.null(.cl)) return(parLapply(.cl, x, .in_worker, f, Sys.getenv("STATUSTUI_R"), .number, ...))
  if (.cores > 1L) return(mclapply(x, function(item) {
    result <- f(item, ...)
    if (!is.null(.number)) track_advance(1, .number)
    result
  }, mc.cores = .cores))
  lapply(x, function(item) {
    result <- f(item, ...)
    if (!is.null(.number)) .quiet(.advance_own(.number))
    result
  })
}

# What a worker of a cluster does; it may lack this package.
.in_worker <- function(item, .f, .context, .number, ...) {
  Sys.setenv(STATUSTUI_R = .context)
  result <- .f(item, ...)
  if (!is.null(.number) && requireNamespace("statustui", quietly = TRUE)) statustui::track_advance(1, .number)
  result
}
environment(.in_worker) <- globalenv()

# An item of the loop itself, whatever f has opened since.
.advance_own <- function(number) {
  if (.st$pid != Sys.getpid()) return(track_advance(1, number))
  for (i in rev(seq_along(.st$open))) if (identical(.st$open[[i]]$n, number)) {
    .st$open[[i]]$done <- .st$open[[i]]$done + 1
    return(.room(list("sub.info", number, .st$open[[i]]$done, NULL, NULL), FALSE))
  }
}
