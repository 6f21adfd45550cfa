"""The state of capture and of the checkpoint, for `dstream doctor` and the metrics of a run."""
