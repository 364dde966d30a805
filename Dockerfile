# syntax=docker/dockerfile:1

# The compiler. Any Rust from the `rust-version` of Cargo.toml on will do.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# Both caches outlive the build, so that a changed source compiles alone.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin shardway \
    && cp target/release/shardway /usr/local/bin/shardway

# The same Debian as the compiler's: the program links against its libc.
FROM debian:bookworm-slim
# Authorities for sslmode=verify-full without sslrootcert.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin shardway
COPY --from=build /usr/local/bin/shardway /usr/local/bin/shardway
USER shardway
EXPOSE 6432
ENTRYPOINT ["shardway"]
CMD ["--config", "/etc/shardway/shardway.toml"]
