"""The screens of the monitor. Each owns its state; the widgets on it only show and post."""
