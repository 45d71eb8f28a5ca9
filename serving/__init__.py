"""Command line, HTTP service and what reads their input; stands on model."""
