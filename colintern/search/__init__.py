"""Searching hyperparameters: a study of trials, each a real training [optuna]."""
