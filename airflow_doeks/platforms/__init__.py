"""Where jobs run: one row a platform type behind one protocol. No prices, no lineage, no Airflow here."""
