#!/bin/sh
# Makes the stack's passwords at the first start, and shows one on request. Runs in the `secrets` service.
#   make          one folder for each program, holding only what that program needs, readable only by its user
#   show NAME     grafana (user admin), elastic (user elastic) or agent (the token of its page)
# A password that exists is never changed: to renew one, remove its files and recreate the services.
set -eu
umask 077
root=${SECRETS_DIR:-/secrets}

# Letters and digits only: they are typed, and stand in addresses.
random() { head -c 96 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 32; }

# once NAME: the secret of that name, made if it is not there
once() {
    mkdir -p "$root/all"
    [ -s "$root/all/$1" ] || {
        random >"$root/all/$1.new"
        mv "$root/all/$1.new" "$root/all/$1"
    }
    cat "$root/all/$1"
}

# give FOLDER UID GID FILE=NAME...: copies secrets into a folder that belongs to that user
give() {
    folder=$root/$1 owner=$2:$3
    shift 3
    mkdir -p "$folder"
    for pair in "$@"; do
        file=$folder/${pair%%=*}
        mkdir -p "${file%/*}"
        once "${pair#*=}" >"$file"
    done
    find "$folder" -type f -exec chmod 400 {} +
    find "$folder" -type d -exec chmod 500 {} +
    [ "$(id -u)" != 0 ] || chown -R "$owner" "$folder"
}

case ${1:-make} in
    make)
        mkdir -p "$root"
        chmod 755 "$root"
        for folder in "$root"/*/; do # a second run writes again what the first made read-only
            [ ! -d "$folder" ] || find "$folder" -type d -exec chmod 700 {} +
            [ ! -d "$folder" ] || find "$folder" -type f -exec chmod 600 {} +
        done
        give elasticsearch 1000 0 elastic=elastic
        give kibana 1000 0 kibana_system=kibana_system kibana_key=kibana_key
        give logstash 1000 0 sightline_writer=sightline_writer
        give grafana 472 0 grafana=grafana grafana_key=grafana_key grafana_reader=grafana_reader
        give zipkin 1000 1000 zipkin=zipkin
        give agent 65532 65532 sightline_writer=sightline_writer token=agent
        give setup 65532 65532 elastic=elastic users/kibana_system=kibana_system users/grafana_reader=grafana_reader \
            users/sightline_writer=sightline_writer users/zipkin=zipkin
        echo "secrets are in place; to see one: docker compose run --rm secrets show grafana"
        ;;
    show)
        case ${2:-} in
            grafana | elastic | agent) cat "$root/all/$2" && echo ;;
            *) echo "show what? grafana, elastic or agent" >&2 && exit 64 ;;
        esac
        ;;
    *) echo "$1: not a command; there are: make, show NAME" >&2 && exit 64 ;;
esac
