"""The checks of problem set 4, honest measurement and a leak hunt: what is tried, and how it is drawn."""

TASKS = []
