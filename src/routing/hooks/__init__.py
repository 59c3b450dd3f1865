"""Hooks: other people's code that is asked before an attempt, and told what came of it.

``values`` is what a hook is and what it is given, ``details`` fills that in, ``making`` finds the
hooks that a configuration names, ``dispatch`` calls them and keeps their faults from calls.
"""
