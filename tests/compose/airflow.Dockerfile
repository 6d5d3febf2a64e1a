# Stands in for apache/airflow where no registry is reached: what its documentation promises to those who build on it
# (user 50000 of group 0, /opt/airflow, a virtual environment with uv at /home/airflow/.local, its entry point), not its size.
FROM doeks-proof/debian
COPY python /usr/python
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
      curl dumb-init git netcat-openbsd libexpat1 libffi8 libncursesw6 libreadline8 libsqlite3-0 libssl3 libstdc++6 libuuid1 >/dev/null \
    && echo /usr/python/lib > /etc/ld.so.conf.d/python.conf && ldconfig \
    && useradd --uid 50000 --gid 0 --create-home airflow \
    && mkdir -p /opt/airflow/dags /opt/airflow/logs && chown -R airflow:0 /opt/airflow && chmod -R g+rwX /opt/airflow /home/airflow
COPY airflow-entrypoint.sh /entrypoint
ENV AIRFLOW_HOME=/opt/airflow VIRTUAL_ENV=/home/airflow/.local PATH=/home/airflow/.local/bin:/usr/python/bin:$PATH \
    LANG=C.UTF-8 DUMB_INIT_SETSID=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
SHELL ["/bin/bash", "-o", "pipefail", "-o", "errexit", "-o", "nounset", "-c"]
WORKDIR /opt/airflow
USER 50000
ARG AIRFLOW_VERSION
COPY --chown=airflow:0 uv.txt /tmp/
# Most extras of the image, at the versions of today and not of our lock file: installing over others is what is to be proven.
RUN python3 -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib' \
    && python3 -m venv "$VIRTUAL_ENV" && pip install --quiet --no-cache-dir --require-hashes -r /tmp/uv.txt \
    && uv pip install --quiet --no-cache "apache-airflow==$AIRFLOW_VERSION" \
      "apache-airflow[amazon,async,celery,cncf-kubernetes,common-io,common-messaging,docker,elasticsearch,fab,ftp,git,google,grpc,hashicorp,http,microsoft-azure,openlineage,opensearch,pandas,postgres,redis,sendgrid,sftp,slack,snowflake,ssh,statsd,uv]"
EXPOSE 8080
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
CMD []
