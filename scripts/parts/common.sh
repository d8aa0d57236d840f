# What the scripts share: the cache, package managers, ports, waiting and stopping. POSIX sh, to be sourced.

cache=${SIGHTLINE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/sightline}
patience=${SIGHTLINE_WAIT:-180}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

say() { echo "${0##*/}: $*" >&2; }

# absolute DIR: its absolute path; made if missing
absolute() { mkdir -p "$1" && (CDPATH='' cd -- "$1" && pwd); }

# locked FUNCTION...: one at a time across processes, so that two test runs do not fill the cache at once
locked() {
    mkdir -p "$cache"
    if command -v flock >/dev/null; then
        (
            flock 9
            "$@"
        ) 9>"$cache/lock"
    else
        "$@"
    fi
}

# need_commands COMMAND:PACKAGE...: installs the Debian packages of the commands that are missing
need_commands() {
    missing=
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    [ -z "$missing" ] || locked apt_install $missing
}

apt_install() {
    command -v apt-get >/dev/null || die "please install:$(printf ' %s' "$@")"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || die "please run: apt-get install $*"
        as_root=sudo
    fi
    say "installing Debian packages: $*"
    policy=/usr/sbin/policy-rc.d made=
    # The packages of servers start them on every address; only the programs are wanted here.
    if [ ! -e "$policy" ]; then
        made=1
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
    fi
    mkdir -p "$cache"
    status=0
    {
        $as_root apt-get -o DPkg::Lock::Timeout=300 update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
                install -y -qq --no-install-recommends "$@"
    } >"$cache/apt.log" 2>&1 </dev/null || status=$?
    [ -z "$made" ] || $as_root rm -f "$policy"
    [ "$status" = 0 ] || {
        tail -n 15 "$cache/apt.log" >&2
        die "apt-get install $* failed"
    }
}

# maven GROUP:ARTIFACT:VERSION:TYPE[:CLASSIFIER] FILE: leaves FILE in the cache
maven() {
    [ -s "$cache/$2" ] || locked maven_get "$1" "$2"
}

maven_get() {
    [ ! -s "$cache/$2" ] || return 0
    say "downloading $2 with Maven"
    rm -rf "$cache/incoming"
    mvn -q -B dependency:copy -Dartifact="$1" -DoutputDirectory="$cache/incoming" \
        >"$cache/maven.log" 2>&1 </dev/null && [ -s "$cache/incoming/$2" ] || {
        tail -n 15 "$cache/maven.log" >&2
        die "could not get $1"
    }
    mv "$cache/incoming/$2" "$cache/$2" # whole or not at all
}

# jdk VERSION...: the home of the first of these JDKs that is installed
jdk() {
    for wanted in "$@"; do
        for home in "${JAVA_HOME:-/nonexistent}" /usr/lib/jvm/*-"$wanted"-* /usr/lib/jvm/*-"$wanted" \
            /usr/lib/jvm/*-1."$wanted".*; do
            [ -x "$home/bin/javac" ] || continue
            case $("$home/bin/javac" -version 2>&1) in "javac $wanted" | "javac $wanted".*)
                echo "$home"
                return 0
                ;;
            esac
        done
    done
    die "none of the JDKs $* is in /usr/lib/jvm or JAVA_HOME; please install one"
}

# answers PORT: something listens there
answers() {
    curl -s -o /dev/null -m 1 "http://127.0.0.1:$1/" && return 0
    [ $? != 7 ]
}

# free_port: a port below the kernel's ephemeral range on which nothing listens
free_port() {
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        candidate=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
        if ! answers "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    die "no free port after $try tries"
}

# healthy URL PID LOG [USER:PASSWORD]: waits until URL answers 2xx
healthy() {
    tries=$((patience * 4))
    while [ "$tries" -gt 0 ]; do
        code=$(curl -s -o /dev/null -m 2 -w '%{http_code}' ${4:+-u "$4"} "$1" 2>/dev/null) || code=000
        case $code in 2??) return 0 ;; esac
        kill -0 "$2" 2>/dev/null || {
            tail -n 20 "$3" >&2
            die "ended while starting; its output is in $3"
        }
        sleep 0.25
        tries=$((tries - 1))
    done
    tail -n 20 "$3" >&2
    kill "$2" 2>/dev/null || :
    die "$1 was not healthy after $patience s (SIGHTLINE_WAIT); its output is in $3"
}

# stop_in DIR: ends the one process whose id start wrote there
stop_in() {
    [ -s "$1/pid" ] || die "$1: nothing was started there"
    pid=$(cat "$1/pid")
    kill "$pid" 2>/dev/null || :
    tries=120
    while kill -0 "$pid" 2>/dev/null; do
        [ "$tries" -gt 0 ] || kill -9 "$pid" 2>/dev/null || :
        [ "$tries" -gt -20 ] || die "process $pid does not end"
        sleep 0.25
        tries=$((tries - 1))
    done
    rm -f "$1/pid"
}
