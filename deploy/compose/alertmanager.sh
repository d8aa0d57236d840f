#!/bin/sh
# Starts Alertmanager. Without an address for the dead-man's switch the Watchdog alert goes nowhere, which is better than
# a failed send every minute. An empty PagerDuty key is left as it is: those failures are meant to be seen.
set -eu
config=/etc/alertmanager/alertmanager.yml
switch=${DEADMANSSWITCH_FILE:-/run/secrets/deadmansswitch_url}
made=${MADE_CONFIG:-/tmp/alertmanager.yml}
config=${ALERTMANAGER_CONFIG:-$config}

if [ -s "$switch" ]; then
    cp "$config" "$made"
else
    sed 's/receiver: deadmansswitch$/receiver: nobody/' "$config" >"$made"
    echo "no dead-man's switch is configured: nobody outside will notice when alerting stops (DEADMANSSWITCH_URL_FILE)" >&2
fi
[ -s "${PAGERDUTY_FILE:-/run/secrets/pagerduty_routing_key}" ] ||
    echo "paging is not configured: PAGERDUTY_ROUTING_KEY_FILE names no file with a key" >&2
exec "${ALERTMANAGER_BIN:-/bin/alertmanager}" --config.file="$made" "$@"
