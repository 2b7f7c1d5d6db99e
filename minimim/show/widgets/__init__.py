"""Widgets: each one idea that is understood by moving it, a function of `minimim.show` that a lesson calls in one line."""
