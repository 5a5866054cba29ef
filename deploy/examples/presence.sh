#!/bin/sh
# Ask a client on this host with curl: who is there, and what happens to them.
#
#   psp client run --settings client.toml --identity alice.key
#   ./presence.sh ~/.local/state/psp/gateway.token alice bob
#
# PSP_URL is where the client listens, if not at its usual port. The token goes to curl
# through a pipe: others on this host could see it among a program's arguments.
set -eu

url=${PSP_URL:-http://127.0.0.1:8790}
token_file=$1
shift

ask() { # method, path, further options of curl
  method=$1 path=$2
  shift 2
  printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")" |
    curl --config - --silent --show-error --fail-with-body \
      --request "$method" --header 'Content-Type: application/json' "$@" "$url$path"
}

# ["alice","bob"]; names with quotation marks in them are left to better tools.
who=$(printf '"%s",' "$@")
who="{\"who\":[${who%,}]}"

ask POST /v1/presence --data "$who"
echo
# PSP_WATCH=1 goes on to print events until Ctrl-C, first the state of each.
[ "${PSP_WATCH:-}" = 1 ] || exit 0
watch=$(ask POST /v1/watches --data "$who" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')
trap 'ask DELETE "/v1/watches/$watch"' EXIT
trap 'exit 0' INT TERM
ask GET "/v1/events?watch=$watch" --no-buffer &
wait
