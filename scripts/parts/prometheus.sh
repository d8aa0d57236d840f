# Prometheus from Debian's package, or the binary named by PROMETHEUS_BIN. Takes remote write and keeps exemplars.

prometheus_bin() { echo "${PROMETHEUS_BIN:-$(command -v prometheus)}"; }

prometheus_install() {
    [ -n "${PROMETHEUS_BIN:-}" ] || need_commands curl:curl prometheus:prometheus promtool:prometheus
}

prometheus_start() {
    prometheus_install
    port=$1 dir=$2 config=${3:-}
    if [ $# -gt 3 ]; then shift 3; else shift $#; fi
    if [ -z "$config" ]; then
        config=$dir/prometheus.yml
        printf 'global: {scrape_interval: 1s, evaluation_interval: 1s}\n' >"$config"
    fi
    [ -r "$config" ] || die "$config: cannot be read"
    bin=$(prometheus_bin)
    set -- --config.file="$config" --storage.tsdb.path="$dir/data" --web.listen-address="127.0.0.1:$port" \
        --web.enable-lifecycle --web.enable-remote-write-receiver "$@"
    # With native-histograms, version 2 keeps no classic buckets of what has both, and dashboards ask for those.
    set -- "$@" --enable-feature="${PROMETHEUS_FEATURES:-exemplar-storage}"
    setsid "$bin" "$@" >"$dir/out.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    healthy "http://127.0.0.1:$port/-/ready" "$(cat "$dir/pid")" "$dir/out.log"
}
