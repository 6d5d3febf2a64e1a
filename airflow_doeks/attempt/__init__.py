"""One attempt of an Airflow task, from its context to the delivered record: submit, resume, close."""
