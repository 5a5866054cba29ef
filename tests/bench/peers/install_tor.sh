#!/bin/sh
# Installs tor as a program: the service that its package brings is neither started now
# nor at the next boot. Debian's root gets it; others are told.
set -eu
command -v tor >/dev/null && command -v tor-gencert >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: tor; psp bench peers does without it" >&2
  exit 0
fi
policy=/usr/sbin/policy-rc.d # invoke-rc.d(8): 101 forbids what was asked for
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tor >/dev/null
if command -v systemctl >/dev/null; then
  systemctl disable --quiet tor.service 2>/dev/null || true
fi
