# Without the program nothing is recorded, nothing fails, and what is printed is the same.
Sys.setenv(PATH = "/nowhere", STATUSTUI_DISABLE = "1")
library(statustui)
name <- "DE"
said <- suppressWarnings(capture.output({
  genter("load {name}")
  track_task_progress(1, 2, "half of {name}")
  gexit()
}))
stopifnot(grepl("^\\[..:..:..\\] load DE$", said[[1L]]))
stopifnot(identical(track_along(1:3, function(i) i^2), list(1, 4, 9)))
stopifnot(identical(with_tracking(1 + 1), 2))
