"""A network's training step recorded as a list of tensor operations, and run again without modules and autograd."""
