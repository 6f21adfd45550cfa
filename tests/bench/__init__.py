"""Benchmarks, each compared with a baseline in the same run: `make bench`, or `python -m tests.bench SUBJECT...`.

Rules: count what the sink received; interleave the arms; print medians, spread and an A/A control (the baseline against
itself: a difference of that size is noise); measure whole-process CPU and peak RSS; print ratios, never absolute values
alone. The CPU of the stand-ins (the sandbox's servers) is shown, because a benchmark limited by its stand-in measures
nothing.
"""
