"""nginx as a plain reverse proxy: no authentication, no log, nothing read but the head."""

from __future__ import annotations

import re
import shutil
import subprocess

from bench import payloads, processes
from bench.payloads import KINDS, MODEL
from bench.peers.base import NotInstalled, Peer, Route, Running
from bench.upstreams import Upstream

CONFIGURATION = """
worker_processes 1;
daemon off;
pid {place}/nginx.pid;
error_log {place}/nginx.err error;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_buffer_size 64k;
  tcp_nodelay on;
  client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3;
  uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Authorization "Bearer sk-upstream";
{upstreams}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
{locations}
  }}
}}
"""


class Nginx(Peer):
    name = "nginx"
    title = "nginx (plain reverse proxy)"
    about = "one worker, keep-alive to the upstream, no access log, buffering off for streams"

    def install(self) -> str:
        if shutil.which("nginx") is None:
            raise NotInstalled("nginx is not on this machine")
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
        match = re.search(r"nginx/(\S+)", said)
        return match.group(1) if match else ""

    def start(self, upstream: Upstream) -> Running:
        port = processes.free_port()
        upstreams = "\n".join(
            f"  upstream {kind} {{ server 127.0.0.1:{upstream.ports[kind]}; "
            "keepalive 1024; keepalive_requests 100000000; }"
            for kind in KINDS
        )
        locations = "\n".join(
            f"    location /{kind}/ {{ proxy_buffering {'on' if kind == 'instant' else 'off'}; "
            f"proxy_pass http://{kind}/; }}"
            for kind in KINDS
        )
        path = self.place / "nginx.conf"
        path.write_text(CONFIGURATION.format(place=self.place, port=port, upstreams=upstreams, locations=locations))
        found = {kind: Route(port, payloads.request(kind, MODEL), f"/{kind}/v1/chat/completions") for kind in KINDS}
        return Running(self.launch(["nginx", "-p", self.place, "-c", path]), found)
