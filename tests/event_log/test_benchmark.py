"""The benchmark's question to a Spark History Server that is only starting."""

from __future__ import annotations

import importlib.util
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "event_log.py"


def test_a_history_server_that_answers_html_is_asked_again():
    """While it starts it tells nothing, or a page; then no applications; at last its applications and their jobs."""
    spec = importlib.util.spec_from_file_location("doeks_event_log_benchmark", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    answers = [b"<html>starting</html>", b"[]", b'[{"id": "app-1"}]', b"<html>", b'[{"id": "app-1"}]', b"[]"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = answers.pop(0)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        api = f"http://127.0.0.1:{server.server_port}/api/v1/applications"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        assert [benchmark.told(api) for _ in range(4)] == [False, False, False, True]
        server.shutdown()
        thread.join()
    assert benchmark.told(api) is False
