# Elasticsearch from Maven's integration-test distribution: the real server with few modules. It has data streams by
# template, data-stream lifecycle, query strings and aggregations; it has no index lifecycle management, no ingest
# processors, no scripts, no ES|QL, no match_only_text. GET / is added by a plugin of our own, since clients ask for it.

elasticsearch_version=${ELASTICSEARCH_VERSION:-9.2.8}

elasticsearch_install() {
    need_commands curl:curl unzip:unzip mvn:maven setpriv:util-linux
    [ -d "$cache/elasticsearch-$elasticsearch_version" ] && return 0
    maven "org.elasticsearch.distribution.integ-test-zip:elasticsearch:$elasticsearch_version:zip" \
        "elasticsearch-$elasticsearch_version.zip"
    locked elasticsearch_unpack
}

elasticsearch_unpack() {
    home=$cache/elasticsearch-$elasticsearch_version
    [ ! -d "$home" ] || return 0
    fresh=$cache/unpacking
    rm -rf "$fresh"
    mkdir -p "$fresh"
    unzip -q "$cache/elasticsearch-$elasticsearch_version.zip" -d "$fresh"
    made=$fresh/elasticsearch-$elasticsearch_version
    plugin=$made/plugins/root-endpoint
    mkdir -p "$plugin" "$fresh/classes"
    java=$(jdk 25 21)
    "$java/bin/javac" --release 21 -proc:none -cp "$made/lib/*" -d "$fresh/classes" "$parts"/root-endpoint/*.java \
        >"$cache/javac.log" 2>&1 || {
        cat "$cache/javac.log" >&2
        die "the plugin for GET / does not compile against $elasticsearch_version"
    }
    "$java/bin/jar" cf "$plugin/root-endpoint.jar" -C "$fresh/classes" .
    printf '%s\n' name=root-endpoint "description=answers GET /" version=1 classname=RootEndpoint \
        "elasticsearch.version=$elasticsearch_version" java.version=21 >"$plugin/plugin-descriptor.properties"
    mv "$made" "$home"
    rm -rf "$fresh"
}

elasticsearch_start() {
    elasticsearch_install
    java=$(jdk 25 21)
    heap=${ES_HEAP:-512m}
    # The server's files are linked, not copied, where the file system lets us; its settings are always a copy.
    if [ ! -d "$2/home" ]; then
        cp -rl "$cache/elasticsearch-$elasticsearch_version" "$2/home" 2>/dev/null || {
            rm -rf "$2/home"
            cp -r "$cache/elasticsearch-$elasticsearch_version" "$2/home"
        }
        rm -rf "$2/home/config"
        cp -r "$cache/elasticsearch-$elasticsearch_version/config" "$2/home/config"
    fi
    mkdir -p "$2/data" "$2/logs" "$2/tmp"
    secured=false
    [ -z "${ES_PASSWORD:-}" ] || secured=true
    cat >"$2/home/config/elasticsearch.yml" <<Y
cluster.name: sightline-test
node.name: test
path.data: $2/data
path.logs: $2/logs
http.host: 127.0.0.1
http.port: $1
transport.host: 127.0.0.1
transport.port: 0
discovery.type: single-node
xpack.security.enabled: $secured
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
# Zipkin's client offers snappy and cannot read the framing in which the server then answers.
http.compression: false
${ES_EXTRA:-}
Y
    user=
    if [ "$(id -u)" = 0 ]; then # it refuses to run as root
        chown nobody "$2"
        chown -R nobody "$2/data" "$2/logs" "$2/tmp" "$2/home/config"
        user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
        $user test -w "$2/data" || die "$2: the user nobody cannot reach it; choose a folder below /tmp"
    fi
    (
        cd "$2/home"
        if [ "$secured" = true ]; then
            export ES_JAVA_HOME="$java" ES_PATH_CONF="$2/home/config"
            rm -f config/elasticsearch.keystore
            printf '%s' "$ES_PASSWORD" | $user bin/elasticsearch-keystore add -x -f bootstrap.password
        fi
        export HOME="$2" ES_TMPDIR="$2/tmp" ES_JAVA_HOME="$java" JAVA_HOME="$java" ES_JAVA_OPTS="-Xms$heap -Xmx$heap"
        exec setsid $user bin/elasticsearch -p "$2/pid"
    ) >"$2/out.log" 2>&1 </dev/null &
    healthy "http://127.0.0.1:$1/_cluster/health" "$!" "$2/out.log" "${ES_PASSWORD:+elastic:$ES_PASSWORD}"
}
