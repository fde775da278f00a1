"""Repeatable benchmarks: every figure stands beside a baseline of the same run, because machines differ and drift."""
