"""The client for shells: functions that append lines to a journal without starting a process."""
