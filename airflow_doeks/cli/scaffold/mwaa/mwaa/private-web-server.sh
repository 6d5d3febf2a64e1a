#!/bin/sh
# A private web server reaches no package index: its wheels travel in plugins.zip. Run this with the environment's
# Python (3.12 for Airflow 2.11 and later) on Linux, upload both files to the bucket, and name them in the environment.
set -eu
cd "$(dirname "$0")"
rm -rf wheels plugins.zip
sed 's#^/usr/local/airflow/plugins/#../wheels/#' requirements.txt >wanted.txt
python3 -m pip wheel --requirement wanted.txt --wheel-dir wheels
rm wanted.txt
(cd wheels && python3 -m zipfile --create ../plugins.zip ./*)
{
    echo "--find-links /usr/local/airflow/plugins"
    echo "--no-index"
    echo "# --constraint none: the wheels in plugins.zip are the versions"
    echo "airflow-doeks"
} >requirements-private.txt
echo "plugins.zip and requirements-private.txt are ready"
