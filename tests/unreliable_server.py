"""A web server of one file that fails as servers and networks do."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """`plan`: what the next requests get; when it is used up, all is well."""

    content: bytes
    plan: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)  # what was asked for
    url: str = ""


@contextmanager
def serve(content: bytes, *plan: str):
    """Starts a Server on 127.0.0.1.

    Each step of the plan answers one request: an HTTP status, or break (stops after half of the
    rest), stall (sends half of the rest, then nothing), whole (ignores the range), wrong (other
    bytes), page (another file), unlimited (no length, and stops), shifted (another range).
    """
    server = Server(content, list(plan))
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            step = server.plan.pop(0) if server.plan else ""
            asked = self.headers["Range"]
            server.ranges.append(asked)
            if step.isdecimal():
                self.send_error(int(step))
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and step != "whole" else 0
            body = server.content[start:] if step != "page" else b"<html>please log in</html>"
            self.send_response(206 if start else 200)
            if start:
                first = start + (step == "shifted")
                self.send_header(
                    "Content-Range",
                    f"bytes {first}-{len(server.content) - 1}/{len(server.content)}",
                )
            if step != "unlimited":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if step == "wrong":
                body = bytes(len(body))
            if step in ("break", "stall", "unlimited"):
                body = body[: len(body) // 2]
            for place in range(0, len(body), 1 << 16):
                try:
                    self.wfile.write(body[place : place + (1 << 16)])
                except OSError:
                    return
            if step == "stall":
                over.wait(60)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        over.set()
        http.shutdown()
        http.server_close()
