"""How fast it is: `python -m benchmarks`, or `make bench`; see docs/performance.md."""
