"""Measurements as scripts, one command each."""
