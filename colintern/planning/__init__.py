"""Planning: architecture, hyperparameters, memory and time of a run, without torch."""
