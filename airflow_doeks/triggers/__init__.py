"""What waits in the triggerer while a job runs."""
