"""The effect of a choice: how much of a space of hyperparameters works with it and without it."""
