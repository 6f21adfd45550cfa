"""Figures, each beside its baseline in the same run. `make bench`, or `python -m tests.bench SUBJECT..`.

Rules: count what the sink received; interleave the arms; print medians, spread and an A/A control (the baseline against
itself: what difference is noise here); whole-process CPU and peak RSS; ratios, never absolutes alone. Stand-ins (the
sandbox's servers) are watched: a benchmark whose stand-in is the bottleneck measures nothing, so their CPU is shown.
"""
