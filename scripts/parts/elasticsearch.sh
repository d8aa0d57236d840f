# Elasticsearch from Maven's integration-test distribution: the real server with few modules. It has data streams by
# template, data-stream lifecycle, security, query strings and aggregations; it has no index lifecycle management, no ingest
# processors, no scripts, no ES|QL, no match_only_text. What tests need besides is added by a plugin of our own.
# Elasticsearch 6.8 (elasticsearch6.sh) starts by the same functions.

elasticsearch_version=${ELASTICSEARCH_VERSION:-9.2.8}

elasticsearch_install() {
    elasticsearch_fetch org.elasticsearch.distribution.integ-test-zip "$elasticsearch_version"
    sources=$parts/missing-modules
    modules=$cache/missing-modules-$(cat "$sources"/*.java | cksum | tr ' ' -)-$elasticsearch_version
    [ -d "$modules" ] || locked missing_modules_build
}

missing_modules_build() {
    [ ! -d "$modules" ] || return 0
    fresh=$cache/compiling java=$(jdk 25 21) home=$cache/elasticsearch-$elasticsearch_version
    rm -rf "$fresh" "$cache"/missing-modules-*
    mkdir -p "$fresh/classes" "$fresh/plugin"
    "$java/bin/javac" --release 21 -proc:none -cp "$home/lib/*" -d "$fresh/classes" "$sources"/*.java >"$cache/javac.log" 2>&1 || {
        cat "$cache/javac.log" >&2
        die "the plugin with the missing modules does not compile against $elasticsearch_version"
    }
    "$java/bin/jar" cf "$fresh/plugin/missing-modules.jar" -C "$fresh/classes" .
    printf '%s\n' name=missing-modules "description=what tests need and the distribution lacks" version=1 classname=MissingModules \
        "elasticsearch.version=$elasticsearch_version" java.version=21 >"$fresh/plugin/plugin-descriptor.properties"
    mv "$fresh/plugin" "$modules"
    rm -rf "$fresh"
}

elasticsearch_start() {
    elasticsearch_install
    elasticsearch_home "$2" "$elasticsearch_version"
    rm -rf "$2/program/plugins"
    mkdir -p "$2/program/plugins"
    cp -r "$modules" "$2/program/plugins/missing-modules"
    secured=false
    [ -z "${ES_PASSWORD:-}" ] || secured=true
    cat >"$2/program/config/elasticsearch.yml" <<Y
cluster.name: sightline-test
node.name: test
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
Y
    elasticsearch_serve "$1" "$2" "$(jdk 25 21)"
}

# elasticsearch_fetch GROUP VERSION [MEND]: leaves that distribution in the cache; MEND is run in its folder first
elasticsearch_fetch() {
    need_commands curl:curl unzip:unzip mvn:maven setpriv:util-linux
    [ -d "$cache/elasticsearch-$2" ] && return 0
    maven "$1:elasticsearch:$2:zip" "elasticsearch-$2.zip"
    locked elasticsearch_unpack "$2" "${3:-:}"
}

elasticsearch_unpack() {
    [ ! -d "$cache/elasticsearch-$1" ] || return 0
    fresh=$cache/unpacking
    rm -rf "$fresh"
    mkdir -p "$fresh"
    unzip -q "$cache/elasticsearch-$1.zip" -d "$fresh"
    (cd "$fresh/elasticsearch-$1" && "$2")
    mv "$fresh/elasticsearch-$1" "$cache/elasticsearch-$1"
    rm -rf "$fresh" "$cache/elasticsearch-$1.zip"
}

# elasticsearch_home DIR VERSION: its program in DIR/program. Files are linked, not copied, where the file system lets us; its
# settings are always a copy.
elasticsearch_home() {
    [ ! -d "$1/program" ] || return 0
    cp -rl "$cache/elasticsearch-$2" "$1/program" 2>/dev/null || {
        rm -rf "$1/program"
        cp -r "$cache/elasticsearch-$2" "$1/program"
    }
    rm -rf "$1/program/config"
    cp -r "$cache/elasticsearch-$2/config" "$1/program/config"
}

# elasticsearch_serve PORT DIR JDK: starts what is in DIR/program with the settings that are there, and waits for it
elasticsearch_serve() {
    heap=${ES_HEAP:-512m} user=
    mkdir -p "$2/data" "$2/logs" "$2/tmp" "$2/program/logs" # Java's own log goes below the program's folder
    printf '%s\n' "path.data: $2/data" "path.logs: $2/logs" "${ES_EXTRA:-}" >>"$2/program/config/elasticsearch.yml"
    if [ "$(id -u)" = 0 ]; then # it refuses to run as root
        chown nobody "$2"
        chown -R nobody "$2/data" "$2/logs" "$2/tmp" "$2/program/config" "$2/program/logs"
        user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
        $user test -w "$2/data" || die "$2: the user nobody cannot reach it; choose a folder below /tmp"
    fi
    (
        cd "$2/program"
        export HOME="$2" ES_TMPDIR="$2/tmp" ES_JAVA_HOME="$3" JAVA_HOME="$3" ES_PATH_CONF="$2/program/config"
        if [ -n "${ES_PASSWORD:-}" ]; then
            rm -f config/elasticsearch.keystore
            printf '%s' "$ES_PASSWORD" | $user bin/elasticsearch-keystore add -x -f bootstrap.password
        fi
        export ES_JAVA_OPTS="-Xms$heap -Xmx$heap"
        exec setsid $user bin/elasticsearch -p "$2/pid"
    ) >"$2/out.log" 2>&1 </dev/null &
    healthy "http://127.0.0.1:$1/_cluster/health" "$!" "$2/out.log" "${ES_PASSWORD:+elastic:$ES_PASSWORD}"
}
