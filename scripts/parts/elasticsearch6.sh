# Elasticsearch 6.8, the newest whole distribution that Maven has: the one real server here with index lifecycle management,
# for the test of retention. Nothing else is tested against it.

elasticsearch6_version=6.8.23

elasticsearch6_install() {
    need_commands curl:curl unzip:unzip mvn:maven setpriv:util-linux
    [ -d "$cache/elasticsearch-$elasticsearch6_version" ] && return 0
    maven "org.elasticsearch.distribution.zip:elasticsearch:$elasticsearch6_version:zip" "elasticsearch-$elasticsearch6_version.zip"
    locked elasticsearch6_unpack
}

elasticsearch6_unpack() {
    home=$cache/elasticsearch-$elasticsearch6_version
    [ ! -d "$home" ] || return 0
    fresh=$cache/unpacking
    rm -rf "$fresh"
    mkdir -p "$fresh"
    unzip -q "$cache/elasticsearch-$elasticsearch6_version.zip" -d "$fresh"
    # A garbage collector that newer JDKs no longer have.
    sed -i '/ConcMarkSweep/d;/CMSInitiating/d' "$fresh/elasticsearch-$elasticsearch6_version/config/jvm.options"
    mv "$fresh/elasticsearch-$elasticsearch6_version" "$home"
    rm -rf "$fresh" "$cache/elasticsearch-$elasticsearch6_version.zip"
}

elasticsearch6_start() {
    elasticsearch6_install
    java=$(jdk 17 11 8)
    mkdir -p "$2/data" "$2/logs" "$2/tmp"
    if [ ! -d "$2/config" ]; then cp -r "$cache/elasticsearch-$elasticsearch6_version/config" "$2/config"; fi
    cat >"$2/config/elasticsearch.yml" <<Y
cluster.name: sightline-retention
path.data: $2/data
path.logs: $2/logs
http.host: 127.0.0.1
http.port: $1
transport.host: 127.0.0.1
transport.tcp.port: 0
discovery.type: single-node
xpack.security.enabled: false
xpack.ml.enabled: false
xpack.monitoring.enabled: false
xpack.watcher.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
indices.lifecycle.poll_interval: 1s
Y
    user= home=$cache/elasticsearch-$elasticsearch6_version
    if [ "$(id -u)" = 0 ]; then # it refuses to run as root
        cp -rl "$home" "$2/home" 2>/dev/null || cp -r "$home" "$2/home"
        home=$2/home
        chown nobody "$2"
        # Java's own log goes below the program's folder.
        mkdir -p "$home/logs"
        chown -R nobody "$2/data" "$2/logs" "$2/tmp" "$2/config" "$home/logs"
        user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
    fi
    (
        cd "$home"
        export HOME="$2" ES_TMPDIR="$2/tmp" JAVA_HOME="$java" ES_PATH_CONF="$2/config" ES_JAVA_OPTS="-Xms512m -Xmx512m"
        exec setsid $user bin/elasticsearch -p "$2/pid"
    ) >"$2/out.log" 2>&1 </dev/null &
    healthy "http://127.0.0.1:$1/_cluster/health" "$!" "$2/out.log"
}
