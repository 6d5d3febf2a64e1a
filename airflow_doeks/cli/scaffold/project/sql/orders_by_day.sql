-- Airflow renders this file first; what it writes is in the record.
INSERT OVERWRITE DIRECTORY '{{ var.value.get('orders_data', '/tmp/doeks-first') }}/orders_by_day' USING parquet
SELECT day, count(*) AS orders, sum(amount) AS amount
FROM parquet.`{{ var.value.get('orders_data', '/tmp/doeks-first') }}/orders`
GROUP BY day;
