"""Data, training, evaluation, baselines and benchmarks; stands on model."""
