"""The ground floor: codebook, segmentation, network, inference; knows neither training nor serving."""
