# Zipkin's own server from Maven. In memory, or on Elasticsearch when its address is given.

zipkin_version=${ZIPKIN_VERSION:-3.6.1} # 3.6 is the first that works with Elasticsearch 9

zipkin_install() {
    need_commands curl:curl mvn:maven
    maven "io.zipkin:zipkin-server:$zipkin_version:jar:exec" "zipkin-server-$zipkin_version-exec.jar"
}

zipkin_start() {
    zipkin_install
    java=$(jdk 17 21 25)
    if [ -n "${3:-}" ]; then
        export STORAGE_TYPE=elasticsearch ES_HOSTS="$3" ES_INDEX_SHARDS=1 ES_INDEX_REPLICAS=0
    else
        export STORAGE_TYPE=mem
    fi
    # QUERY_PORT alone would listen on every address.
    setsid "$java/bin/java" -Xmx"${ZIPKIN_HEAP:-256m}" -jar "$cache/zipkin-server-$zipkin_version-exec.jar" \
        '--armeria.ports[0].ip=127.0.0.1' "--armeria.ports[0].port=$1" '--armeria.ports[0].protocols[0]=http' \
        >"$2/out.log" 2>&1 </dev/null &
    echo $! >"$2/pid"
    healthy "http://127.0.0.1:$1/health" "$(cat "$2/pid")" "$2/out.log"
}
