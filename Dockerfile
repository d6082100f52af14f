# syntax=docker/dockerfile:1

# htmx, which the binary embeds. The lock file names the versions and their hashes.
FROM node:20-slim AS npm
WORKDIR /pgassay
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund


# The same Debian as below, so that the binary finds the C library that it was linked with.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /pgassay
COPY . .
COPY --from=npm /pgassay/node_modules node_modules
# There is no store to compile the queries against; `.sqlx` knows them.
ENV SQLX_OFFLINE=true
# `target` outlives this build, and cargo goes by dates: sources older than the last build (an earlier commit) would pass
# for built. The binary is copied because the cache is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/pgassay/target,sharing=locked \
    touch src/lib.rs src/main.rs \
    && cargo build --release --locked --features cloud \
    && cp target/release/pgassay /usr/local/bin/pgassay


FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="pgassay" \
      org.opencontainers.image.description="The lab bench for PostgreSQL: which planner statistics change which plans, by how much, and how sure that is" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# The server is for the sandboxes, which pgassay makes itself: the package's own cluster is not wanted. Versions are not
# pinned, because Debian keeps only the newest minor release, and an older one has known holes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/*

# PostgreSQL refuses to run as root.
RUN groupadd --gid 10001 pgassay \
    && useradd --uid 10001 --gid pgassay --no-log-init --home-dir /var/lib/pgassay --no-create-home --shell /usr/sbin/nologin pgassay \
    && install --directory --owner=pgassay --group=pgassay --mode=0700 \
        /var/lib/pgassay /var/lib/pgassay-shared /var/lib/pgassay-shared/secrets

COPY LICENSE /usr/share/doc/pgassay/LICENSE
COPY samples /usr/share/pgassay/samples
COPY --from=build /usr/local/bin/pgassay /usr/local/bin/pgassay

# PGASSAY_ACCESS is not set here, because this image cannot know who reaches its port: people sign in. Whoever publishes it
# may know better: docker-compose.yml publishes it on loopback and says `local`.
ENV LANG=C.UTF-8 \
    PGASSAY_LISTEN=0.0.0.0:8000 \
    PGASSAY_DATA_DIR=/var/lib/pgassay \
    PGASSAY_SAMPLES_DIR=/usr/share/pgassay/samples

# By number, so that a platform can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/pgassay
VOLUME /var/lib/pgassay
EXPOSE 8000

# bash speaks enough HTTP for this; curl would bring twenty packages along.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost:8000\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == 'HTTP/1.1 200 '* ]]"]

ENTRYPOINT ["pgassay"]
CMD ["serve"]
