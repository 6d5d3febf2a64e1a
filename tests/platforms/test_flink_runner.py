"""The runner of Flink SQL, asked in its own language where this machine has a compiler for it."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

import airflow_doeks

JAR = Path(airflow_doeks.__file__).parent / "platforms" / "flink" / "doeks-flink.jar"
ASK = """\
package airflow_doeks;

public class Ask {
    public static void main(String[] addresses) {
        for (String address : addresses) System.out.println(SqlRunner.withoutSecrets(address));
    }
}
"""
ADDRESSES = {
    "jdbc:postgresql://me:p%40ss@db.example:5432/shop?password=pass&ssl=true": "jdbc:postgresql://db.example:5432/shop",
    "jdbc:oracle:thin:scott/pass@//db.example:1521/shop": "jdbc:oracle:thin:@//db.example:1521/shop",
    "jdbc:db2://db.example:50000/shop:user=me;password=pass;": "jdbc:db2://db.example:50000/shop:;;",
    "jdbc:sqlserver://db.example;databaseName=shop;password=pass": "jdbc:sqlserver://db.example;databaseName=shop;",
    "http://me:pass@search.example:9200": "http://search.example:9200",
    "thrift://hive.example:9083": "thrift://hive.example:9083",
}


def test_a_job_shows_no_password_of_an_address(tmp_path):
    """What a job carries of its tables' addresses, where Flink's REST API shows it, holds no login."""
    flink = importlib.util.find_spec("pyflink")
    if shutil.which("javac") is None or flink is None:
        pytest.skip("needs javac and the extra local-flink")
    classes = f"{tmp_path}:{JAR}:{next(iter(flink.submodule_search_locations))}/lib/*"
    (tmp_path / "Ask.java").write_text(ASK)
    subprocess.run(["javac", "-cp", classes, "-d", tmp_path, tmp_path / "Ask.java"], check=True)
    asked = subprocess.run(
        ["java", "-cp", classes, "airflow_doeks.Ask", *ADDRESSES], check=True, capture_output=True, text=True
    )
    assert asked.stdout.splitlines() == list(ADDRESSES.values())
