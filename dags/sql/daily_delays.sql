-- Delays of each day and airport of departure.
INSERT OVERWRITE DIRECTORY '{{ var.value.get('flights_data', '/tmp/flights') }}/mart/daily_delays' USING parquet
SELECT
  date,
  origin,
  count(*) AS flights,
  count_if(cancelled) AS cancelled,
  round(avg(dep_delay), 1) AS mean_departure_delay_minutes,
  round(avg(arr_delay), 1) AS mean_arrival_delay_minutes,
  max(wind_speed) AS max_wind_speed
FROM parquet.`{{ var.value.get('flights_data', '/tmp/flights') }}/joined/flights`
GROUP BY date, origin;
