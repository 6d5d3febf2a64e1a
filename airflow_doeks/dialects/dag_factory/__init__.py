"""From dag-factory's YAML to pipelines."""
