"""What Flink's platform types share: properties, sizes, verdicts, what a job manager tells, root causes."""
