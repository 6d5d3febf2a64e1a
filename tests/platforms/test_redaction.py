"""What of a job's log may be repeated."""

from __future__ import annotations

import pytest

from airflow_doeks.model.redaction import redacted

CASES = [  # the text of a log, what may be repeated of it
    ("connect with password=hunter2 now", "connect with password=*** now"),
    ("fs.s3a.secret.key: abcDEF123", "fs.s3a.secret.key: ***"),
    ('{"api_token": "xyz"}', '{"api_token": "***"}'),
    ("jdbc:postgresql://bob:hunter2@db/x", "jdbc:postgresql://bob:***@db/x"),
    ("jdbc:postgresql://bob:hun@ter2@db/x", "jdbc:postgresql://bob:***@db/x"),
    ("key AKIAIOSFODNN7EXAMPLE used", "key *** used"),
    ("argv: ['--db-password', 'hunter2']", "argv: ['--db-password', '***']"),
    ("argv: ['--db-password', 'hunter 2', '--x', '1']", "argv: ['--db-password', '***', '--x', '1']"),
    ('["--token","hunter2","--x"]', '["--token","***","--x"]'),
    ("spark-submit --password hunter2 --x", "spark-submit --password *** --x"),
    ("spark-submit --password 'hunter 2' --x", "spark-submit --password '***' --x"),
    ("spark-submit --db.password=hunter2 --x", "spark-submit --db.password=*** --x"),
    ("run('--conf', 'spark.acme.password=hunter 2', 7)", "run('--conf', 'spark.acme.password=***', 7)"),
    ("Authorization: Bearer eyJhbGciOi.abc", "Authorization: ***"),
    ("authorization=Basic Ym9iOmh1bnRlcjI= sent", "authorization=*** sent"),
    ("{'Authorization': 'Bearer eyJhbGciOi.abc', 'a': 1}", "{'Authorization': '***', 'a': 1}"),
    ("sent Bearer eyJhbGciOi.abcdef as header", "sent Bearer *** as header"),
    ("password=ab;hunter2", "password=***"),
    ("password=ab,hunter2&x 'y'", "password=*** 'y'"),
    ("'password': 'my hunter2'", "'password': '***'"),
    (r'"password": "my \"hunter2\" is", "user": "bob"', '"password": "***", "user": "bob"'),
    (r"{\"password\": \"my hunter2\", \"user\": \"bob\"}", r"{\"password\": \"***\", \"user\": \"bob\"}"),
    ('password="my hunter2 is cut', 'password="***'),
    ("password = b'my hunter2' x", "password = '***' x"),
    ('PASSWORD: ["my hunter2"]', "PASSWORD: ***"),
    ("passwords=['hunter2', 'hunter ]2'] x", "passwords=*** x"),
    ('{"tokens": [hunter2 x, "hunter2"], "user": "bob"}', '{"tokens": *** "user": "bob"}'),
    ('tokens: ["my hunter2 is cut', "tokens: ***"),
    ('os.environ["DB_PASSWORD"] = "my hunter2"', 'os.environ["DB_PASSWORD"] = "***"'),
    ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": "***"}'),
    ("Map(db.password -> hunter2, user -> bob)", "Map(db.password -> *** user -> bob)"),
    ("('spark.hadoop.fs.s3a.secret.key', 'hunter2')", "('spark.hadoop.fs.s3a.secret.key', '***')"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = ***"),
    ("https://b.s3/x?X-Amz-Signature=0a1b2c", "https://b.s3/x?X-Amz-Signature=***"),
    (
        "https://storage.googleapis.com/b/x?X-Goog-Signature=0a1b",
        "https://storage.googleapis.com/b/x?X-Goog-Signature=***",
    ),
    ("wasbs://c@acme.net/x?sv=2020&sig=a%2Fb&se=1 denied", "wasbs://c@acme.net/x?sv=2020&sig=*** denied"),
    ("https://b.s3/x?Expires=1&Signature=0a1b", "https://b.s3/x?Expires=1&Signature=***"),
    ("jdbc:sqlserver://db;user=bob;Pwd=hunter2", "jdbc:sqlserver://db;user=bob;Pwd=***"),
    ("DB_PASS=hunter2 MYSQL_PWD: hunter2", "DB_PASS=*** MYSQL_PWD: ***"),
    ("spark-submit --pass hunter2 --x", "spark-submit --pass *** --x"),
    ("OPTIONS (user 'bob', password 'hunter 2')", "OPTIONS (user 'bob', password '***')"),
    ("OPTIONS (`password` 'hunter2', `x` 'y')", "OPTIONS (`password` '***', `x` 'y')"),
    ("SET `spark.acme.password`='hunter2'", "SET `spark.acme.password`='***'"),
    ("CREATE USER bob IDENTIFIED BY 'hunter2'", "CREATE USER bob IDENTIFIED BY '***'"),
    ("clone https://ghs0a1b@github.com/acme/x", "clone https://***@github.com/acme/x"),
    ("sent k8s-aws-v1.aHR0cHM6Ly9zdHM as is", "sent *** as is"),
    ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln twice", "got *** twice"),
    ("with ghp_0123456789abcdefghijABCDEFGHIJ012345", "with ***"),
]
STAYS = [
    "tokenizer took 5 s",
    "The security token included in the request is invalid",
    "flags ['--use-token', '--verbose'] and --with-token --verbose",
    "HTTP 401: Bearer authentication failed",
    "see https://spark.apache.org:443/docs and write to s3://acme-code/x",
    "ValueError: no flights in 2013-13",
    "passed: 5, bypass=1, pass-through: on",
    "[PARSE_SYNTAX_ERROR] Syntax error at or near 'FROM', token 'FROM'",
    "abfss://lake@acme.dfs.core.windows.net/orders?version=3",
    "signature of f: (x)",
    "",
]
HOSTILE = (
    "a",
    "password",
    "--password ",
    'password="',
    "password='\\",
    "'password', ",
    '"password=',
    "-",
    '\\"',
    "eyJhbGciOiJ",
    "https://a",
    "?sig=",
    "token :",
    "://a:",
)


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_secrets_in_logs_are_not_repeated(text, expected):
    """Values that look like secrets do not get from a job's log into ours, neither whole nor in part."""
    assert redacted(text) == expected
    assert redacted(expected) == expected


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_secret_stays(text):
    """Words alone are no secrets: the cause of a failure stays readable."""
    assert redacted(text) == text


@pytest.mark.parametrize("part", HOSTILE)
def test_a_line_of_a_megabyte_is_masked_in_linear_time(part):
    """No line, however it is made, holds up the task: with quadratic work this test would not end."""
    line = part * (500_000 // len(part))
    assert "***" in redacted(f"{line} password={line}")
