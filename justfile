# Short names for what is done often. `just --list` shows them.

# everything that CI does
test:
    scripts/test

# formatting and lints, warnings denied
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# the agent with the sample service and its page
demo:
    cargo run --release -p sightline-agent -- demo

# API documentation
doc:
    scripts/test docs

# end-to-end tests alone, on real back ends
e2e:
    cargo test -p sightline-agent --test it

# what instrumentation costs a thread: CPU nanoseconds and allocations, stock parts beside ours
bench-cost *ARGS:
    cargo bench --workspace --all-features --bench cost -- {{ARGS}}

# kittenserver under load with and without the crate, and with its collector killed
bench-service *ARGS:
    cargo bench --workspace --all-features --bench service -- {{ARGS}}

# StatsD: CPU seconds per million lines, memory, scrapes; statsd_exporter beside it when installed
bench-statsd *ARGS:
    cargo bench -p sightline-agent --bench load -- {{ARGS}}

# logs through the disk queue into a cheap back end
bench-logs *ARGS:
    cargo bench -p sightline-agent --bench logs -- {{ARGS}}

# spans through the disk queue into a cheap back end
bench-spans *ARGS:
    cargo bench -p sightline-agent --bench spans -- {{ARGS}}

# the embedded store: a million logs and searches over them; STORE_BENCH_DAYS=35 STORE_BENCH_RECORDS=20000 lets simulated days pass instead
bench-store *ARGS:
    cargo bench -p sightline-agent --all-features --bench store -- {{ARGS}}

# the fault table: what is lost and doubled when back ends misbehave
faults *ARGS:
    cargo bench -p sightline-agent --features crash-points --bench faults -- {{ARGS}}

# the same with the real agent and a real Elasticsearch behind a bad network, and `kill -9`
faults-real RECORDS="200000":
    SIGHTLINE_TEST_RECORDS={{RECORDS}} cargo test --release -p sightline-agent --test it -- real_faults --test-threads 1

# fuzz one target for a while: line, mapping, logs, spans, queue
fuzz TARGET SECONDS="60":
    scripts/fuzz {{TARGET}} {{SECONDS}}

# from a panic to the page at the intervals that are shipped: about two minutes each
time-to-page TIMES="3":
    scripts/time-to-page {{TIMES}}

# dashboards and rules from their typed source
dashboards:
    cargo run -p sightline-dashboards -- write

# how soon the page is there: medians; with a release build it is that of users
page-speed:
    cargo build --release -p sightline-agent --all-features
    SIGHTLINE_BIN=${CARGO_TARGET_DIR:-target}/release/sightline scripts/test-page speed

# the crate's features in every combination, and what its interface broke since REV (needs cargo-hack and cargo-semver-checks)
interface REV="HEAD~1":
    cargo hack check --feature-powerset --no-dev-deps -p sightline-instrument
    cargo semver-checks -p sightline-instrument --baseline-rev {{REV}}

# licences, bans, advisories
deny:
    cargo deny check
