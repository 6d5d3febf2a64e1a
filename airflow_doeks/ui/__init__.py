"""What Airflow's web pages show of a job; nothing heavy is imported before a page is asked for."""
