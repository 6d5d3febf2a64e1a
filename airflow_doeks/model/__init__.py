"""The nouns: frozen values that every room may import. No I/O, no Airflow, no AWS, no Kubernetes here."""
