#!/usr/bin/env bash
# install.sh VENV LOCK: make VENV if need be and install LOCK into it, every file checked against its hash; shows each package as it comes.
set -euo pipefail
venv=$1 lock=$2 python=${PYTHON:-python3}

stop() { printf '%s\n' "$*" >&2; exit 1; }

command -v "$python" >/dev/null || stop "There is no $python here: run 'apt-get install python3 python3-venv', or name another with 'make PYTHON=/path/to/python3.11'."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "$("$python" --version) is too old: Watchdesk needs Python 3.11 or newer; name one with 'make PYTHON=/path/to/python3.11'."
"$python" -c 'import venv, ensurepip' 2>/dev/null || stop "This Python cannot make virtual environments: run 'apt-get install python3-venv'."

[ -x "$venv/bin/pip" ] || { echo "==> $venv: a virtual environment of $("$python" --version)"; "$python" -m venv "$venv"; }

log=$venv/install.log
echo "==> $venv: packages of $lock"
"$venv/bin/pip" install --disable-pip-version-check --no-input --progress-bar off --require-hashes -r "$lock" 2>&1 | tee "$log" |
  awk '/^(Collecting|Processing) /{sub(".*/", "", $2); printf "    %3d  %s\n", ++n, $2; fflush()} /^Installing collected packages/{print "    unpacking ..."; fflush()}' ||
  { tail -n 20 "$log" >&2; stop "The packages of $lock could not be installed; the lines above say why, all of it is in $log."; }
