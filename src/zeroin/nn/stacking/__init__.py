"""Many networks trained as one computation: their tensors are stacked along a leading axis."""
