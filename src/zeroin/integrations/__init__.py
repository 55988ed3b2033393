"""Adapters to other frameworks, each in a file of its own that alone imports it."""
