-- Raw flights, a CSV file a month -> those that arrived late, and how many that were per airline. A stream goes on with
-- every file that comes; a bounded job ends with those that are there, and adds them up.
CREATE TABLE flights (
  `year` INT, `month` INT, `day` INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT,
  sched_arr_time INT, arr_delay INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
  air_time INT, distance INT, `hour` INT, `minute` INT, time_hour STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '{{ var.value.get("flights_data", "/tmp/flights") }}/raw/flights',
  {% if params.stream %}'source.monitor-interval' = '10s',{% endif %}
  'format' = 'csv', 'csv.null-literal' = 'NA',
  'csv.ignore-parse-errors' = 'true' -- a file's first line is its header, whose numbers are none
);

CREATE TABLE late_flights (
  flight_date STRING, carrier STRING, flight INT, origin STRING, dest STRING, minutes INT
) WITH (
  'connector' = 'filesystem',
  'path' = '{{ var.value.get("flights_data", "/tmp/flights") }}/late/{{ "stream" if params.stream else "flights" }}',
  {% if params.stream %}'sink.rolling-policy.rollover-interval' = '10s', 'sink.rolling-policy.check-interval' = '5s',{% endif %}
  'format' = 'json'
);
{% if params.stream %}
INSERT INTO late_flights
SELECT CONCAT_WS('-', CAST(`year` AS STRING), CAST(`month` AS STRING), CAST(`day` AS STRING)),
  carrier, flight, origin, dest, arr_delay
FROM flights WHERE arr_delay > 15;
{% else %}
CREATE TABLE late_per_carrier (carrier STRING, flights BIGINT, late BIGINT) WITH (
  'connector' = 'filesystem',
  'path' = '{{ var.value.get("flights_data", "/tmp/flights") }}/late/carriers',
  'format' = 'csv'
);

EXECUTE STATEMENT SET BEGIN
INSERT OVERWRITE late_flights
SELECT CONCAT_WS('-', CAST(`year` AS STRING), CAST(`month` AS STRING), CAST(`day` AS STRING)),
  carrier, flight, origin, dest, arr_delay
FROM flights WHERE arr_delay > 15;
INSERT OVERWRITE late_per_carrier
SELECT carrier, COUNT(*), COUNT(*) FILTER (WHERE arr_delay > 15)
FROM flights WHERE `year` IS NOT NULL GROUP BY carrier;
END;
{% endif %}
