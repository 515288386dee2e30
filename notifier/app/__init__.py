"""Composition root: settings → running parts → orderly stop, reload."""
