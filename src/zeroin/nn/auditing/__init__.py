"""The audit of a network: rules that measure what is wrong with it, and say how to fix it."""
