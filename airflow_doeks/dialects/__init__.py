"""Other YAML for DAGs, read into ours."""
