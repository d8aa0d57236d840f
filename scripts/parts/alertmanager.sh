# Alertmanager from Debian's package, or the binary named by ALERTMANAGER_BIN; one node, no gossip port.

alertmanager_bin() {
    echo "${ALERTMANAGER_BIN:-$(command -v prometheus-alertmanager || command -v alertmanager)}"
}

alertmanager_install() {
    [ -n "${ALERTMANAGER_BIN:-}" ] ||
        need_commands curl:curl prometheus-alertmanager:prometheus-alertmanager amtool:prometheus-alertmanager
}

alertmanager_start() {
    alertmanager_install
    [ $# -ge 3 ] || die "start alertmanager PORT DIR CONFIG [FLAG...]"
    port=$1 dir=$2 config=$3
    shift 3
    [ -r "$config" ] || die "$config: cannot be read"
    setsid "$(alertmanager_bin)" --config.file="$config" --storage.path="$dir/data" \
        --web.listen-address="127.0.0.1:$port" --cluster.listen-address= "$@" >"$dir/out.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    healthy "http://127.0.0.1:$port/-/ready" "$(cat "$dir/pid")" "$dir/out.log"
}
