# The journal: lines appended to a file of this process. Nothing here stops the script; what fails is dropped.

.st <- new.env(parent = emptyenv())

.reset <- function() {
  .st$run <- NULL
  .st$open <- list()
  .st$number <- 0
  .st$late <- NULL
  .st$left <- 40
  .st$filled <- 0
  .st$error <- NULL
  .st$interrupted <- FALSE
  .st$guarded <- list()
  .st$floor <- 0L
  .st$sourced <- NULL
}

.st$tried <- FALSE
.st$warned <- FALSE
.st$hooked <- FALSE
.reset()

# One warning a session: more would bury what the script has to say. As text only: options(warn = 2), or a handler of
# the script, would turn a warning of R's into its end.
.warn_once <- function(text) {
  if (!.st$warned) {
    .st$warned <- TRUE
    cat("Warning: statustui: ", text, "\n", sep = "", file = stderr())
  }
}

# The program, by the path that was baked in when the package was installed, else by PATH.
.program <- function() {
  baked <- system.file("program.txt", package = "statustui")
  if (nzchar(baked)) {
    words <- readLines(baked, warn = FALSE)
    if (length(words) && file.exists(words[[1L]])) return(words)
  }
  found <- Sys.which("statustui")
  if (nzchar(found)) unname(found) else character()
}

# Text as the inside of a JSON string.
.json <- function(text) {
  if (is.character(text) && length(text) == 1L && !is.na(text) && nchar(text, "bytes") < 2000L &&
      !grepl("[^ !#-9;-\\[\\]-~]", text, perl = TRUE, useBytes = TRUE)) return(text)
  text <- paste(as.character(text), collapse = " ")
  if (is.na(text)) text <- "NA"
  if (!validUTF8(text)) text <- iconv(text, "UTF-8", "UTF-8", sub = "byte")
  text <- enc2utf8(text)
  if (nchar(text, "bytes") > 60000L) text <- paste0(substr(text, 1L, 15000L), "...")
  if (grepl("://[^/@[:space:]]*:[^/@[:space:]]*@", text))
    text <- gsub("(://[^/:@[:space:]]*:)[^/@[:space:]]+@", "\\1[redacted]@", text)
  if (grepl("[\"\\\\[:cntrl:]]", text)) {
    text <- gsub("\\", "\\\\", text, fixed = TRUE)
    text <- gsub("\"", "\\\"", text, fixed = TRUE)
    text <- gsub("\n", "\\n", text, fixed = TRUE)
    text <- gsub("\t", "\\t", text, fixed = TRUE)
    text <- gsub("\r", "\\r", text, fixed = TRUE)
    for (code in utf8ToInt(paste(unique(regmatches(text, gregexpr("[\001-\037]", text))[[1L]]), collapse = "")))
      if (!is.na(code)) text <- gsub(intToUtf8(code), sprintf("\\u%04x", code), text, fixed = TRUE)
  }
  text
}

.number <- function(value) {
  if (!is.numeric(value)) value <- suppressWarnings(as.numeric(value))
  if (length(value) != 1L || is.na(value) || value < 0 || value > 9e15) return(NULL)
  if (value == floor(value)) sprintf("%.0f", value) else sprintf("%.6g", value)
}

# Append one record: kind, then its other fields as JSON text.
.put <- function(kind, fields = "", run = .st$run) {
  con <- .st$con
  if (is.null(con)) return(invisible(FALSE))
  now <- as.numeric(Sys.time())
  head <- paste0("\",\"t\":", sprintf("%.4f", now), ",\"m\":", sprintf("%.4f", now - .st$offset))
  if (now - .st$checked >= 1 || kind == "run.end") .check(now)
  if (.st$bytes > .st$limit && kind != "run.end") {
    .st$dropped <- .st$dropped + 1
    .st$lost <- .st$lost + 1
    # Told now and then: the script may be killed.
    if (!.st$lost %in% c(1, 10, 100) && .st$lost %% 1000 != 0) return(invisible(FALSE))
  }
  if (.st$dropped > 0) {
    .add(con, paste0("\n{\"k\":\"dropped", head, ",\"facts\":", sprintf("%.0f", .st$dropped), ",\"progress\":0}\n"))
    .st$told <- .st$dropped
    .st$dropped <- 0
    if (.st$bytes > .st$limit && kind != "run.end") return(invisible(FALSE))
  }
  .add(con, paste0("\n{\"k\":\"", kind, head, if (!is.null(run)) paste0(",\"run\":\"", run, "\""), fields, "}\n"))
  if (kind == "run.end") .check(now)
  invisible(TRUE)
}

.add <- function(con, line) {
  writeLines(line, con, sep = "", useBytes = TRUE)
  flush(con)
  .st$bytes <- .st$bytes + nchar(line, "bytes")
  .st$since <- .st$since + 1
}

# A full disk gives neither an error nor a warning: the size of the file tells what has not arrived. What R still keeps
# of it is let go, and said to be dropped when there is room again. Only what the drainer has not applied counts for
# the limit.
.check <- function(now) {
  .st$checked <- now
  size <- file.size(.st$file)
  if (is.na(size)) return(invisible())
  if (size < .st$bytes) {
    .st$dropped <- .st$dropped + .st$since + .st$told
    .st$con <- tryCatch({
      suppressWarnings(close(.st$con))
      file(.st$file, "ab")
    }, error = function(e) NULL, warning = function(w) NULL)
    .st$bytes <- file.size(.st$file)
  }
  .st$since <- .st$told <- 0
  if (.st$bytes > .st$limit) {
    applied <- tryCatch(
      as.numeric(readLines(sub("\\.0\\.jsonl$", ".ack", .st$file), n = 1L, warn = FALSE)),
      error = function(e) NA, warning = function(w) NA
    )
    if (length(applied) == 1L && !is.na(applied)) .st$limit <- min(applied + .most, 4e9)
  }
}

.most <- 60e6

.open_journal <- function(path) {
  con <- tryCatch(file(path, "ab"), error = function(e) NULL, warning = function(w) NULL)
  .st$con <- con
  .st$file <- path
  .st$bytes <- c(file.size(path)[!is.na(file.size(path))], 0)[[1L]]
  .st$limit <- .most
  .st$dropped <- .st$lost <- .st$since <- .st$told <- 0
  .st$checked <- as.numeric(Sys.time())
  !is.null(con)
}

# The journal of this process, begun by the program. A forked worker gets one of its own.
.begin <- function(task = "", stage = "", total = "") {
  if (is.null(.st$pid) || .st$pid == Sys.getpid()) {
    if (!is.null(.st$run)) return(TRUE)
    return(.begin_run(task, stage, total))
  }
  .worker()
}

.begin_run <- function(task, stage, total) {
  if (.st$tried) return(FALSE)
  from <- .source()
  script <- .script()
  if (!nzchar(script) && !is.null(from)) script <- normalizePath(from, mustWork = FALSE)
  told <- tryCatch({
    program <- .program()
    if (!length(program)) stop("the program 'statustui' was not found")
    arguments <- c(program[-1L], "r-begin", Sys.getpid(), script, task, stage, total)
    said <- suppressWarnings(system2(program[[1L]], shQuote(arguments), stdout = TRUE, stderr = TRUE))
    status <- attr(said, "status")
    if (!is.null(status) && status != 0L)
      stop(sub("^statustui: ", "", if (length(said)) said[[length(said)]] else paste("status", status)))
    said
  }, error = function(e) {
    .warn_once(conditionMessage(e))
    character()
  })
  values <- sub("^[^=]*=", "", told)
  names(values) <- sub("=.*", "", told)
  if (!all(c("file", "run", "writer") %in% names(values))) {
    .st$tried <- TRUE
    return(FALSE)
  }
  .reset()
  if (!.open_journal(values[["file"]])) {
    .st$tried <- TRUE
    return(FALSE)
  }
  .st$run <- values[["run"]]
  .st$cells <- NULL
  if (!is.null(from) && interactive()) .st$sourced <- from
  .st$spool <- values[["spool"]]
  .st$writer <- values[["writer"]]
  .st$pid <- Sys.getpid()
  m <- suppressWarnings(as.numeric(sub("^.*\"m\":([0-9.]+),.*$", "\\1", .st$writer)))
  t <- suppressWarnings(as.numeric(sub("^.*\"t\":([0-9.]+),.*$", "\\1", .st$writer)))
  .st$offset <- if (is.finite(m) && is.finite(t)) t - m else 0
  context <- list(run = .st$run, spool = .st$spool, writer = .st$writer, offset = .st$offset)
  # Workers of a cluster that is made later find their run here, programs of other languages too.
  for (name in intersect(c("STATUSTUI_CONTEXT", "STATUSTUI_OWNER"), names(values)))
    do.call(Sys.setenv, as.list(values[name]))
  Sys.setenv(STATUSTUI_R = paste(context$run, context$spool, context$offset, context$writer, sep = "|"))
  Sys.unsetenv(c("STATUSTUI_JOIN", "STATUSTUI_SUBTASK"))
  TRUE
}

# The journal of a worker: its counters stand in a file that is written in place, so that each item counts at once.
.worker <- function(context = NULL) {
  if (is.null(.st$run) && is.null(context)) return(FALSE)
  if (!is.null(context)) {
    .st$run <- context$run
    .st$spool <- context$spool
    .st$writer <- context$writer
    .st$offset <- context$offset
  }
  .st$pid <- Sys.getpid()
  .st$late <- NULL
  .st$outer <- NULL
  # What the program has open is its own to end.
  .st$floor <- length(.st$open)
  .st$cells <- list()
  .st$number <- ((Sys.getpid() * 7919 + floor(as.numeric(Sys.time()))) %% 2097151) * 1024 + 1024
  digits <- c(0:9, letters[1:6])
  seed <- floor(as.numeric(Sys.time()) * 1000)
  salt <- sprintf("%08x%08x", Sys.getpid(), as.integer((as.numeric(Sys.time()) * 1e6) %% 2^31))
  stamp <- paste(digits[1 + (seed %/% 16^(11:0)) %% 16], collapse = "")
  id <- paste0(
    substr(stamp, 1, 8), "-", substr(stamp, 9, 12), "-7", substr(salt, 2, 4), "-8", substr(salt, 6, 8), "-",
    substr(salt, 9, 16), sprintf("%04x", Sys.getpid() %% 65536L)
  )
  stat <- tryCatch(readLines("/proc/self/stat", n = 1L, warn = FALSE), error = function(e) "")
  start <- strsplit(sub("^.*\\) ", "", stat), " ", fixed = TRUE)[[1L]]
  writer <- .st$writer
  writer <- sub("\"journal\":\"[^\"]*\"", paste0("\"journal\":\"", id, "\""), writer)
  writer <- sub("\"pid\":[0-9]+", paste0("\"pid\":", Sys.getpid()), writer)
  if (length(start) > 19L) writer <- sub("\"start\":[0-9]+", paste0("\"start\":", start[[20L]]), writer)
  writer <- sub("\"role\":\"[a-z]*\"", "\"role\":\"worker\"", writer)
  path <- file.path(.st$spool, paste0(id, ".0.jsonl"))
  old <- Sys.umask("077")
  on.exit(Sys.umask(old))
  if (.open_journal(path)) .quiet(.add(.st$con, paste0("\n", writer, "\n")))
  counts <- file.path(.st$spool, paste0(id, ".counts"))
  .st$counts <- tryCatch({
    con <- file(counts, "w+b")
    writeBin(c(charToRaw("SSC1"), raw(8188L)), con)
    flush(con)
    con
  }, error = function(e) NULL, warning = function(w) NULL)
  TRUE
}

.from_environment <- function() {
  parts <- strsplit(Sys.getenv("STATUSTUI_R"), "|", fixed = TRUE)[[1L]]
  if (length(parts) < 4L) return(FALSE)
  .worker(list(
    run = parts[[1L]], spool = parts[[2L]], offset = as.numeric(parts[[3L]]),
    writer = paste(parts[-(1:3)], collapse = "|")
  ))
}

# Count items of subtask number n in this worker.
.count <- function(n, amount) {
  key <- as.character(n)
  cell <- .st$cells[[key]]
  if (is.null(cell)) {
    cell <- c(index = length(.st$cells), value = 0)
    if (cell[["index"]] >= 1023) return(invisible(FALSE))
    .put("counter", paste0(",\"i\":", cell[["index"]], ",\"n\":", n))
  }
  cell[["value"]] <- cell[["value"]] + amount
  .st$cells[[key]] <- cell
  con <- .st$counts
  if (is.null(con)) return(invisible(FALSE))
  tryCatch({
    seek(con, 8 + 8 * cell[["index"]], rw = "write")
    low <- cell[["value"]] %% 4294967296
    if (low >= 2147483648) low <- low - 4294967296
    writeBin(c(as.integer(low), as.integer(cell[["value"]] %/% 4294967296)), con, size = 4L, endian = "little")
    flush(con)
  }, error = function(e) NULL, warning = function(w) NULL)
  invisible(TRUE)
}

# The script that runs: Rscript, R -f, R CMD BATCH; empty in a session.
.script <- function() {
  words <- commandArgs(FALSE)
  named <- sub("^--file=", "", grep("^--file=", words, value = TRUE))
  if (length(named) && named[[1L]] != "-") return(normalizePath(named[[1L]], mustWork = FALSE))
  at <- match("-f", words)
  if (!is.na(at) && at < length(words)) return(normalizePath(words[[at + 1L]], mustWork = FALSE))
  ""
}

# The file that source() reads, where this is called from one.
.source <- function() {
  for (i in seq_len(sys.nframe())) if (identical(sys.function(i), base::source)) {
    file <- get0("ofile", envir = sys.frame(i), inherits = FALSE)
    if (is.character(file) && length(file) == 1L) return(file)
  }
  NULL
}
