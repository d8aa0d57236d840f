# Elasticsearch 6.8, the newest whole distribution that Maven has: the one real server here with index lifecycle management,
# for the test of retention. Nothing else is tested against it.

elasticsearch6_version=6.8.23

elasticsearch6_install() { elasticsearch_fetch org.elasticsearch.distribution.zip "$elasticsearch6_version" elasticsearch6_mend; }

# A garbage collector that newer JDKs no longer have.
elasticsearch6_mend() { sed -i '/ConcMarkSweep/d;/CMSInitiating/d' config/jvm.options; }

elasticsearch6_start() {
    elasticsearch6_install
    elasticsearch_home "$2" "$elasticsearch6_version"
    cat >"$2/program/config/elasticsearch.yml" <<Y
cluster.name: sightline-retention
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
    (
        unset ES_PASSWORD
        elasticsearch_serve "$1" "$2" "$(jdk 17 11 8)"
    )
}
