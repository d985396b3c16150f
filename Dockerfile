# Quota Scheduler as one process that is not root, with one volume. Settings of pip and certificates that a network needs
# come as build secrets, never as files of the image:
#   docker build --secret id=pip_conf,src=pip.conf --secret id=ca,src=ca.pem -t quota-scheduler .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/venv
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/run/ca.pem \
    /opt/venv/bin/pip install --cache-dir /var/cache/pip --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY quota_scheduler quota_scheduler
COPY alerts alerts
COPY grafana grafana
# What only builds and installs stays behind.
RUN /opt/venv/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation . && \
    /opt/venv/bin/pip uninstall --quiet --yes hatchling editables setuptools pip

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/quota-scheduler --shell /usr/sbin/nologin quota && \
    install -d -o 10001 -g 10001 -m 0750 /var/lib/quota-scheduler
COPY --from=build /opt/venv /opt/venv
# What lies in no database, as the spool, is kept in /var/lib/quota-scheduler too.
# All interfaces: the service then refuses to start without a token (see docs/how-to and examples/compose.yaml).
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/var/lib \
    QUOTA_LISTEN=0.0.0.0:8484 \
    QUOTA_DATABASE=sqlite:////var/lib/quota-scheduler/quota.db
USER 10001:10001
WORKDIR /var/lib/quota-scheduler
VOLUME /var/lib/quota-scheduler
EXPOSE 8484
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/venv/bin/python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['QUOTA_LISTEN'].rpartition(':')[2] + '/healthz', timeout=4)"]
ENTRYPOINT ["quota-scheduler"]
CMD ["serve"]
