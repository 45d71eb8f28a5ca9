"""Measurements of the service: scripts to be run, imported by nothing."""
