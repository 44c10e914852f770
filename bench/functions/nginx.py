"""nginx as functions a, b and c: each answers any POST with its 66 bytes of JSON.

With `spoil`, one answer in a thousand is wrong by one letter: the benchmark must notice and fail.
"""

from pathlib import Path

from bench.plan import ANSWERS
from bench.process import Launch

CONFIGURATION = """daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{answers}
  server {{
    listen 127.0.0.1:{port};
{locations}
  }}
}}
"""


def launch(nginx: str, port: int, folder: Path, spoil: bool) -> Launch:
    folder.mkdir(parents=True)
    answers: list[str] = []
    locations: list[str] = []
    for name, body in ANSWERS.items():
        text = body.decode()
        if spoil:
            wrong = text.replace("sixty", "sixtY")
            answers.append(f"  split_clients $request_id $answer_{name} {{ 0.1% '{wrong}'; * '{text}'; }}")
            text = f"$answer_{name}"
        locations.append(f"    location = /{name} {{ return 200 '{text}'; }}")
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, answers="\n".join(answers), locations="\n".join(locations))
    )
    return Launch((nginx, "-p", str(folder), "-e", "stderr", "-c", str(configuration)), {})
