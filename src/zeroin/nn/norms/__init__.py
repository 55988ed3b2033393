"""Normalisation layers put into a network, taken out, recalibrated and folded away."""
