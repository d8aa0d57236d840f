# VictoriaMetrics from Debian's package, or the binary named by VICTORIAMETRICS_BIN: a second reader of remote write.

victoriametrics_bin() { echo "${VICTORIAMETRICS_BIN:-$(command -v victoria-metrics)}"; }

victoriametrics_install() {
    [ -n "${VICTORIAMETRICS_BIN:-}" ] || need_commands curl:curl victoria-metrics:victoria-metrics
}

victoriametrics_start() {
    victoriametrics_install
    port=$1 dir=$2
    shift 2
    setsid "$(victoriametrics_bin)" -storageDataPath="$dir/data" -httpListenAddr="127.0.0.1:$port" \
        -memory.allowedBytes=64MiB -search.latencyOffset=0s "$@" >"$dir/out.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    healthy "http://127.0.0.1:$port/health" "$(cat "$dir/pid")" "$dir/out.log"
}
