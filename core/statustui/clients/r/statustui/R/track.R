.say <- function(text) cat(strftime(Sys.time(), "[%H:%M:%S] "), text, "\n", sep = "")

# {name} in a text, from where it was called. What can not be evaluated stays as it is.
.filled <- function(text, where) {
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
      value <- eval(str2lang(substr(part, 2L, nchar(part) - 1L)), where)
      paste(if (is.character(value)) value else format(value, trim = TRUE), collapse = ", ")
    }, error = function(e) part)
  }, "", USE.NAMES = FALSE)
  paste0(c(rbind(between, c(parts, ""))), collapse = "")
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

# Subtasks whose calling function has returned were left without gexit(): an error that was caught, a return().
.close_left <- function() {
  while (!is.null(top <- .top())) {
    if (identical(top$frame, globalenv()) || any(vapply(sys.frames(), identical, NA, top$frame))) break
    .end_sub("completed")
  }
}

.end_sub <- function(status, message = NULL) {
  top <- .top()
  if (is.null(top)) return(invisible())
  .flush()
  .st$open[[length(.st$open)]] <- NULL
  .put("sub.end", paste0(
    ",\"n\":", top$n, ",\"status\":\"", status, "\"",
    if (!is.null(message)) paste0(",\"message\":\"", .json(message), "\"")
  ))
}

.enter <- function(name, frame, inside = TRUE, total = NULL) {
  if (!.begin()) return(invisible())
  .flush()
  .close_left()
  if (!inside && length(.st$open)) .end_sub("completed")
  up <- .top()
  .st$number <- .st$number + 1
  .put("sub.start", paste0(
    ",\"n\":", format(.st$number, scientific = FALSE), ",\"name\":\"", .json(name), "\"",
    if (!is.null(up)) paste0(",\"parent\":", up$n),
    if (!is.null(total)) paste0(",\"total\":", .number(total))
  ))
  .st$open[[length(.st$open) + 1L]] <-
    list(n = format(.st$number, scientific = FALSE), name = name, frame = frame, done = 0)
}

.end_run <- function(status, fields = "") {
  if (is.null(.st$run) || !identical(.st$pid, Sys.getpid()) || !is.null(.st$cells)) return(invisible())
  .flush()
  # At the end of the script the run's own end closes them, as that turns out to be.
  if (status == "finished" && !grepl("provisional", fields, fixed = TRUE))
    while (length(.st$open)) .end_sub("completed")
  .put("run.end", paste0(",\"status\":\"", status, "\"", fields))
  .st$run <- NULL
  .st$open <- list()
  tryCatch(close(.st$con), error = function(e) NULL)
  .st$con <- NULL
  Sys.unsetenv(c("STATUSTUI_R", "STATUSTUI_CONTEXT", "STATUSTUI_OWNER", "STATUSTUI_SUBTASK"))
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
  track_init(name, total, stage)
  done <- FALSE
  on.exit(if (!done) .quiet(
    if (!is.null(.st$error)) .end_run("failed", .st$error)
    else if (.st$interrupted) .end_run("cancelled")
    else .end_run("failed", .error_fields("Error", "the block was left early"))
  ))
  value <- withCallingHandlers(
    expr,
    error = function(e) .quiet(.st$error <- .condition_fields(e, sys.calls())),
    interrupt = function(i) .st$interrupted <- TRUE
  )
  done <- TRUE
  .quiet(.end_run("finished"))
  value
}

track_along <- function(x, f, ..., name = "items", cores = 1L, cl = NULL) {
  .hook()
  .quiet(.enter(name, environment(), total = length(x)))
  top <- .top()
  number <- top$n
  done <- FALSE
  on.exit(.quiet(if (identical(.top()$n, number)) .end_sub(if (done) "completed" else "failed")))
  if (!is.null(cl)) {
    context <- Sys.getenv("STATUSTUI_R")
    value <- parLapply(cl, x, function(item, .f, .context, .number, ...) {
      Sys.setenv(STATUSTUI_R = .context)
      result <- .f(item, ...)
      if (requireNamespace("statustui", quietly = TRUE)) statustui::track_advance(1, .number)
      result
    }, f, context, number, ...)
  } else if (cores > 1L) {
    value <- mclapply(x, function(item) {
      result <- f(item, ...)
      track_advance(1, number)
      result
    }, mc.cores = cores)
  } else {
    value <- lapply(x, function(item) {
      result <- f(item, ...)
      track_advance()
      result
    })
  }
  done <- TRUE
  value
}
