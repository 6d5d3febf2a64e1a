-- Delays of each day and airport of departure.
CREATE TEMPORARY VIEW flights (
  date DATE, origin STRING, cancelled BOOLEAN, dep_delay INT, arr_delay INT, wind_speed DOUBLE
) USING parquet OPTIONS (path '{{ var.value.get('flights_data', '/tmp/flights') }}/joined/flights');

INSERT OVERWRITE DIRECTORY '{{ var.value.get('flights_data', '/tmp/flights') }}/mart/daily_delays' USING parquet
SELECT
  date,
  origin,
  count(*) AS flights,
  count_if(cancelled) AS cancelled,
  round(avg(dep_delay), 1) AS mean_departure_delay_minutes,
  round(avg(arr_delay), 1) AS mean_arrival_delay_minutes,
  max(wind_speed) AS max_wind_speed
FROM flights
GROUP BY date, origin;
