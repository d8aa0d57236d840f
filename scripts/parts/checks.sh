# One function for each check. Each runs in the repository's root, may write to $work, and fails with the reason printed.

compose() { "$cache/python/bin/docker-compose" --env-file /dev/null "$@"; }

check_compose() {
    compose -f docker-compose.yml --profile demo --profile logstash config -q
    compose -f docker-compose.yml -f deploy/compose/tls.yml --profile demo --profile logstash config -q
    # The example file must be usable as it is, and with each of its knobs set.
    compose --env-file .env.example -f docker-compose.yml config -q
    sed 's/^#\([A-Z_]*=\)/\1/' .env.example >"$work/env"
    compose --env-file "$work/env" -f docker-compose.yml --profile demo --profile logstash config -q
    # Every knob is described, and every knob described is used.
    grep -oh '\${[A-Z_]*' docker-compose.yml deploy/compose/*.yml | tr -d '${' | sort -u >"$work/used"
    grep -o '^#[A-Z_]*=' .env.example | tr -d '#=' | sort -u >"$work/described"
    diff "$work/used" "$work/described" ||
        { echo "docker-compose.yml and .env.example name different knobs"; return 1; }
    # Each long-running service says when it is healthy, and has a bound on memory and on its log.
    compose -f docker-compose.yml --profile demo --profile logstash config --format json >"$work/compose.json"
    "$cache/python/bin/python" - "$work/compose.json" <<'P'
import json, sys
bad = []
for name, s in json.load(open(sys.argv[1]))["services"].items():
    once = s.get("restart") == "no"
    if not once and "healthcheck" not in s: bad.append(f"{name}: no health check")
    if "mem_limit" not in s: bad.append(f"{name}: no memory limit")
    if "max-size" not in s.get("logging", {}).get("options", {}): bad.append(f"{name}: its log has no bound")
    tag = s["image"].rpartition(":")[2]
    if "/" in tag or tag in ("latest", s["image"]): bad.append(f"{name}: image {s['image']} has no fixed tag")
    for other, how in s.get("depends_on", {}).items():
        if how["condition"] == "service_started": bad.append(f"{name}: waits for {other} to start, not to be healthy")
print("\n".join(bad)); sys.exit(bool(bad))
P
}

# Images by digest: by the real compose, with a stand-in for the engine that would know what was pulled.
check_digests() {
    cat >"$work/docker" <<D
#!/bin/sh
case \$1 in
    compose) shift; exec "$cache/python/bin/docker-compose" --env-file /dev/null "\$@" ;;
    image) [ -z "\${GONE:-}" ] && echo "some/where@sha256:$(printf '%064d' 7)" ;;
esac
D
    chmod 755 "$work/docker"
    DOCKER=$work/docker deploy/pin-digests >"$work/digests.yml"
    compose -f docker-compose.yml -f "$work/digests.yml" --profile demo --profile logstash config --format json >"$work/pinned.json"
    "$cache/python/bin/python" - "$work/pinned.json" <<'P'
import json, sys
bad = [f"{name}: {s['image']}" for name, s in json.load(open(sys.argv[1]))["services"].items()
       if ("@sha256:" in s["image"]) == ("build" in s) or ":" not in s["image"].split("@")[0]]
print("\n".join(bad)); sys.exit(bool(bad))
P
    ! GONE=1 DOCKER=$work/docker deploy/pin-digests >"$work/digests.yml" 2>"$work/said" || { echo "an image that is not here is pinned"; return 1; }
    grep -q 'docker compose pull' "$work/said"
}

check_prometheus() {
    # The paths are those of the container: checked here with the rules beside it.
    sed "s#/etc/prometheus/rules#$root/dashboards/alerts#" prometheus.yml >"$work/prometheus.yml"
    promtool check config "$work/prometheus.yml"
}

check_rules() {
    promtool check rules --lint=all --lint-fatal dashboards/alerts/*.rules.yml
    promtool test rules dashboards/alerts/tests/*.yml
}

# amtool before 0.26 does not know webhook's url_file; the field is checked by newer ones and replaced for older ones.
check_alertmanager() {
    config=dashboards/alerts/alertmanager.yml
    case $(amtool --version 2>&1) in
        *'version 0.'[0-9].* | *'version 0.1'* | *'version 0.2'[0-5].*)
            sed 's#url_file: .*#url: http://127.0.0.1:9/#' "$config" >"$work/alertmanager.yml"
            config=$work/alertmanager.yml
            ;;
    esac
    amtool check-config "$config"
    route() {
        want=$1
        shift
        amtool config routes test --config.file="$config" --verify.receivers="$want" "$@" ||
            { echo "wanted the receiver $want for $*"; return 1; }
    }
    route pagerduty alertname=PanicOccurred severity=critical class=panic
    route pagerduty-low alertname=LatencyP99High severity=warning class=latency
    route pagerduty-low alertname=SignInFailuresHigh severity=warning class=security
    route pagerduty alertname=TargetDown severity=critical class=telemetry
    route deadmansswitch alertname=Watchdog severity=none class=heartbeat
    route nobody alertname=Any severity=none
}

check_dashboards() { "$cache/dashboard-check" dashboards/grafana/*.json; }

check_logstash() {
    "$cache/python/bin/python" - logstash.conf <<'P'
import sys
from lscl.parser import parse_lscl
text = open(sys.argv[1]).read()
blocks = [str(block.name) for block in parse_lscl(text)]
assert blocks == ["input", "filter", "output"], blocks
P
}

check_dockerfile() { "$cache/python/bin/hadolint" deploy/Dockerfile; }

# The chart as it is by default and with everything on: its values' schema, Kubernetes' own schemas and the Prometheus operator's,
# what every pod promises, the rules by promtool, and values that have to be refused.
check_helm() {
    chart=deploy/helm/sightline
    run_helm lint --strict "$chart"
    run_helm template plain "$chart" >"$work/plain.yaml"
    run_helm template full "$chart" --set "gateway.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true,\
dashboards.enabled=true,elasticsearch.urls={https://es:9200},elasticsearch.username=writer,elasticsearch.existingSecret=es,\
zipkin.urls={http://zipkin:9411},agent.hostPath=,gateway.storageClassName=fast,changeEvents.existingSecret=pagerduty,\
changeEvents.prometheus=http://prometheus-operated:9090" >"$work/full.yaml"
    for wrong in gateway.replcas=3 environment=Prod gateway.storage=lots elasticsearch.urls='{es:9200}' agent.hostPath=var/lib \
        changeEvents.existingSecret=pagerduty changeEvents.prometheus=prometheus:9090; do
        if run_helm template wrong "$chart" --set "$wrong" >/dev/null 2>&1; then
            echo "the chart takes $wrong"
            return 1
        fi
    done
    "$cache/python/bin/python" "$parts/chart.py" "$work" "$work/plain.yaml" "$work/full.yaml"
    "$cache/python/bin/kubernetes-validate" --strict "$work"/plain.yaml.core "$work"/full.yaml.core
    promtool check rules "$work/full.yaml.rules"
    "$cache/python/bin/python" "$parts/crds.py" "$crds" "$work/full.yaml"
    for mistake in 's/honorLabels: true/honourLabels: true/' 's/interval: 15s/interval: quarter/' 's/jobLabel: .*/jobLabel: 7/' 's/^\( *\)- alert: \(.*\)/\1- alerts: \2/'; do
        sed "$mistake" "$work/full.yaml" >"$work/wrong.yaml"
        ! "$cache/python/bin/python" "$parts/crds.py" "$crds" "$work/wrong.yaml" || { echo "the operator's definitions take $mistake"; return 1; }
    done
}

# The Debian package with the real agent: built, installed into a root of its own, run with the configuration that it brings, edits kept,
# removed with what it brought; the unit by systemd.
check_deb() {
    need_commands systemd-analyze:systemd strip:binutils
    target=${CARGO_TARGET_DIR:-$root/target}
    cargo build --quiet --workspace --all-features --bins
    strip -o "$work/sightline" "$target/debug/sightline"
    # What is packed matters here, not how small it gets.
    package=$(DPKG_DEB_COMPRESSOR_TYPE=none deploy/deb/build "$work/sightline" "$work/deb")
    scratch=$work/root
    mkdir -p "$scratch/var/lib/dpkg/info" "$scratch/var/lib/dpkg/updates" "$scratch/var/lib/dpkg/triggers" "$scratch/etc"
    touch "$scratch/var/lib/dpkg/status" "$scratch/var/lib/dpkg/available" "$scratch/etc/passwd" "$scratch/etc/group"
    into() { dpkg --root="$scratch" --force-script-chrootless --force-depends --force-confdef --force-not-root --log=/dev/null "$@"; }
    into -i "$package"
    grep -q '^sightline:.*nologin$' "$scratch/etc/passwd" || { echo "no user was made"; return 1; }
    dpkg-deb -f "$package" Depends | grep -q 'libc6 (>= 2' || { echo "the C library that the program needs is not asked for"; return 1; }
    [ "$(dpkg-deb -I "$package" conffiles)" = /etc/sightline/sightline.yml ] || { echo "the configuration is no conffile"; return 1; }
    (cd "$scratch" && find usr etc/sightline -type f) | sort >"$work/files"
    diff - "$work/files" <<F || { echo "other files are installed than meant"; return 1; }
etc/sightline/sightline.yml
usr/bin/sightline
usr/lib/systemd/system/sightline.service
usr/lib/sysusers.d/sightline.conf
usr/share/doc/sightline/copyright
F
    # Of an unknown key systemd only warns.
    sed "s#=/usr/bin/sightline#=$scratch/usr/bin/sightline#" "$scratch/usr/lib/systemd/system/sightline.service" >"$work/sightline.service"
    systemd-analyze verify "$work/sightline.service" >"$work/unit" 2>&1 && [ ! -s "$work/unit" ] || { cat "$work/unit"; return 1; }
    "$scratch/usr/bin/sightline" check "$scratch/etc/sightline/sightline.yml"
    "$cache/python/bin/python" "$parts/installed_agent.py" "$scratch"
    echo '# edited' >>"$scratch/etc/sightline/sightline.yml"
    into -i "$package"
    grep -q '^# edited' "$scratch/etc/sightline/sightline.yml" || { echo "an upgrade overwrote the configuration"; return 1; }
    into -r sightline
    [ -s "$scratch/etc/sightline/sightline.yml" ] && [ -d "$scratch/var/lib/sightline" ] || { echo "a removal takes what only a purge may"; return 1; }
    into -P sightline
    for left in usr/bin/sightline etc/sightline/sightline.yml var/lib/sightline; do
        [ ! -e "$scratch/$left" ] || { echo "a purge leaves $left"; return 1; }
    done
}

# What is kept, by the classes of the Elasticsearch that is tested against: the policy of spans by its parser, and the templates of
# data streams by their parser and by what decides about each index, over the years on a clock of its own.
check_lifecycle() {
    elasticsearch_install
    java=$(jdk 25 21) home=$cache/elasticsearch-$elasticsearch_version content=dashboards/elasticsearch
    path="$home/lib/*:$home/modules/x-pack-core/*"
    mkdir -p "$work/classes"
    "$java/bin/javac" --release 21 -proc:none -cp "$path" -d "$work/classes" "$parts"/lifecycle-check/*.java
    reads() { "$java/bin/java" -cp "$path:$work/classes" PolicyCheck "$@"; }
    keeps() { "$java/bin/java" -cp "$path:$work/classes" StreamCheck "$@"; }
    reads "$content"/*lifecycle-policy*.json
    for mistake in s/min_age/min_agee/ 's/"delete": {}/"deleted": {}/' 's/7d/7 days/'; do
        sed "$mistake" "$content/30-lifecycle-policy.sightline-spans.json" >"$work/wrong.json"
        ! reads "$work/wrong.json" || { echo "the parser takes $mistake"; return 1; }
    done
    daily=$(sed -n 's/^ *cluster.lifecycle.default.rollover: //p' docker-compose.yml)
    streams="$content/20-index-template.sightline-logs.json $content/20-index-template.sightline-audit.json"
    # shellcheck disable=SC2086  # a list
    keeps "$daily" $streams | tee "$work/kept"
    [ "$(tr '\n' ' ' <"$work/kept")" = '30.0 31.0 365.0 366.0 ' ] || { echo "that is not 30 days and a year, to the day"; return 1; }
    for mistake in /data_retention/d 's/30d/"30 days"/' s/data_retention/retention/; do
        sed "$mistake" "$content/20-index-template.sightline-logs.json" >"$work/wrong.json"
        ! keeps "$daily" "$work/wrong.json" || { echo "a stream with $mistake is fine"; return 1; }
    done
}

# What preflight says of hosts that lack something, and of one that does not.
check_preflight() {
    host=$work/host
    mkdir -p "$host/sys/vm" "$host/net"
    printf '#!/bin/sh\ncase "$1" in version) echo 28.1.0 ;; compose) echo 2.40.0 ;; esac\n' >"$work/docker"
    chmod 755 "$work/docker"
    : >"$host/net/tcp"
    look() { PROC=$host DOCKER=$work/docker ENV_FILE=$work/host.env DATA=${space:-/} scripts/preflight >"$work/said" 2>&1; }
    says() { grep -qF -- "$1" "$work/said" || { echo "preflight does not say: $1"; cat "$work/said"; return 1; }; }
    echo 262144 >"$host/sys/vm/max_map_count"
    echo 'MemAvailable: 9000000 kB' >"$host/meminfo"
    printf 'secret' >"$work/key"
    chmod 644 "$work/key"
    echo "PAGERDUTY_ROUTING_KEY_FILE=$work/key" >"$work/host.env"
    look || grep -q 'GiB of disk' "$work/said" || { cat "$work/said"; return 1; }
    ! grep -q 'max_map_count\|memory\|key' "$work/said" || { cat "$work/said"; return 1; }
    echo 65530 >"$host/sys/vm/max_map_count"
    echo 'MemAvailable: 2000000 kB' >"$host/meminfo"
    chmod 600 "$work/key"
    echo '  0: 0100007F:0BB8 00000000:0000 0A' >"$host/net/tcp"
    ! look || { echo "preflight finds nothing wrong"; return 1; }
    says 'sudo sysctl -w vm.max_map_count=262144' && says 'lower ELASTICSEARCH_HEAP' && says "chmod 644 $work/key" && says 'GRAFANA_PORT'
}

check_shell() {
    for script in scripts/backends scripts/validate scripts/preflight scripts/parts/*.sh deploy/compose/*.sh deploy/deb/build deploy/pin-digests; do
        sh -n "$script"
    done
}

# Everything that is published is published on loopback, whatever file adds it.
check_loopback() {
    compose -f docker-compose.yml -f deploy/compose/tls.yml --profile demo --profile logstash config --format json >"$work/all.json"
    "$cache/python/bin/python" - "$work/all.json" <<'P'
import json, sys
bad = [f"{name}: port {p.get('published')} is published on {p.get('host_ip') or 'every address'}"
       for name, s in json.load(open(sys.argv[1]))["services"].items()
       for p in s.get("ports", []) if p.get("host_ip") != "127.0.0.1"]
print("\n".join(bad)); sys.exit(bool(bad))
P
}

# No secret can be read in what compose prints: real keys are put where a user would put them, and looked for.
check_secrets() {
    canary=0123456789abcdef0123456789abcdef
    printf '%s' "$canary" >"$work/key"
    printf 'PAGERDUTY_ROUTING_KEY_FILE=%s\nDEADMANSSWITCH_URL_FILE=%s\n' "$work/key" "$work/key" >"$work/keys.env"
    compose --env-file "$work/keys.env" -f docker-compose.yml --profile demo --profile logstash config >"$work/printed.yml"
    if grep -n "$canary" "$work/printed.yml"; then return 1; fi
    "$cache/python/bin/python" - "$work/printed.yml" <<'P'
import re, sys, yaml
bad = []
for name, s in yaml.safe_load(open(sys.argv[1]))["services"].items():
    for key, value in (s.get("environment") or {}).items():
        if re.search("PASSWORD|SECRET|TOKEN|ROUTING_KEY|ENCRYPTIONKEY", key, re.I) and not str(value).startswith("/"):
            if not re.search("FILE$", key): bad.append(f"{name}: {key} holds a value in its environment")
print("\n".join(bad)); sys.exit(bool(bad))
P
    SECRETS_DIR=$work/secrets sh deploy/compose/secrets.sh make >"$work/made.log" 2>&1
    for secret in "$work"/secrets/all/*; do
        if grep -q "$(cat "$secret")" "$work/made.log"; then
            echo "making secrets prints $secret"
            return 1
        fi
        [ "$(wc -c <"$secret")" -ge 32 ] || { echo "$secret is short"; return 1; }
    done
    [ -z "$(find "$work/secrets" -type f -perm /077)" ] || { echo "others can read a secret"; return 1; }
    # No layer of an image can hold one: the build never sees the files, and what is shipped is copied out of its results alone.
    for place in .env secrets; do
        grep -qx "$place" deploy/Dockerfile.dockerignore || { echo "a build of the image sees $place"; return 1; }
    done
    shipped=$(awk '/^FROM/ { stage++ } stage > 1 && /^(COPY|ADD|ARG|RUN|ENV)/' deploy/Dockerfile)
    if printf '%s\n' "$shipped" | grep -Ev '^COPY --from=build (--chown=[0-9:]+ )?/out/'; then
        echo "that can bring a secret into a layer of the image"
        return 1
    fi
}
