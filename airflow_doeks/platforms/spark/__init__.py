"""What every platform that runs Spark shares: properties, presets, root causes, the SQL runner."""
