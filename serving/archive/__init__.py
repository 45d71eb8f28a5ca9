"""Scoring an archive: inputs of many formats in, a dataset of labelled sentences out, no row lost and none twice."""
