"""The exporter's own program, started from its package."""

from prometheus_pgbouncer_exporter.cli import main

main()
