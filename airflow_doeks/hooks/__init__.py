"""Airflow's connections, settings and context turned into what the rooms below the waist are given."""
