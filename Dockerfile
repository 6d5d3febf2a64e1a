# Airflow with airflow-doeks, Spark and a Java of its own; docker-compose.yaml builds it.
FROM apache/airflow:3.3.2-python3.12 AS wheel
COPY --chown=airflow:0 . /tmp/source
RUN uv pip install --quiet --no-cache --require-hashes --requirement /tmp/source/requirements/build.txt \
    && cd /tmp/source && python -m hatchling build -t wheel -d /tmp/wheel

FROM apache/airflow:3.3.2-python3.12
COPY --chown=airflow:0 requirements/run.txt requirements/build.txt /tmp/requirements/
# What we test with wins over what the image brought: a provider that nothing here uses may miss its versions (`uv pip check`).
RUN uv pip install --quiet --no-cache --require-hashes --requirement /tmp/requirements/run.txt \
    --build-constraints /tmp/requirements/build.txt
COPY --from=wheel /tmp/wheel /tmp/wheel
RUN uv pip install --quiet --no-cache --no-deps /tmp/wheel/*.whl
# A new volume takes over the owner of the folder it covers.
RUN mkdir -m 770 /opt/airflow/doeks && mkdir -m 700 /opt/airflow/secrets
