# The gateway in a container: `docker build -t legato .`, then
#   docker run -e LEGATO_TOKEN=secret -p 8080:8080 -v ./shop:/shop legato
# It serves the project in /shop. It listens on the network, and so it does not start without a token (or `--open`).
# Stopping takes at most `limits.drain` and 10 s: `docker stop -t 40`.

FROM python:3.11-slim AS build
WORKDIR /src
COPY constraints.txt LICENSE README.md pyproject.toml ./
COPY src src
RUN python -m venv --without-pip /opt/legato \
    && pip --python /opt/legato/bin/python install --no-cache-dir -c constraints.txt '.[valkey]'

FROM python:3.11-slim
COPY --from=build /opt/legato /opt/legato
RUN useradd --uid 10001 --no-create-home legato && install -d -o legato /shop
ENV PATH=/opt/legato/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER legato
WORKDIR /shop
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=2); c.request('GET', '/livez'); exit(c.getresponse().status != 200)"]
CMD ["legato", "serve", "--listen", "0.0.0.0:8080"]
