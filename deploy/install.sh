#!/usr/bin/env bash
# Installs line and ejector as systemd services. May be run again at any time: it updates the program and the units, and
# leaves settings and data alone.
set -euo pipefail

usage() {
    cat <<USAGE
usage: sudo deploy/install.sh [options]
  --prefix DIR             where the program goes (default /opt/line-inspector)
  --python COMMAND         Python 3.10 to 3.13 (default python3)
  --extras LIST            extras of the package, comma-separated (default openvino)
  --system-site-packages   use the box's own TensorRT and torch (Jetson)
  --pip-args ARGS          passed to pip install
  --root DIR               place everything below DIR and start nothing (to build an image, or to try)
USAGE
}

prefix=/opt/line-inspector python=python3 extras=openvino root='' pip_args='' venv_args=()
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) prefix=$2; shift 2 ;;
        --python) python=$2; shift 2 ;;
        --extras) extras=$2; shift 2 ;;
        --pip-args) pip_args=$2; shift 2 ;;
        --root) root=$2; shift 2 ;;
        --system-site-packages) venv_args=(--system-site-packages); shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "error: installing services needs root; run: sudo $0" >&2
    exit 1
fi
source_dir=$(cd "$(dirname "$0")/.." && pwd)
venv=$root$prefix

echo "program: $venv"
[ -x "$venv/bin/python" ] || "$python" -m venv ${venv_args[@]+"${venv_args[@]}"} "$venv"
# shellcheck disable=SC2086  # pip's arguments are meant to be split
"$venv/bin/python" -m pip install --quiet --constraint "$source_dir/constraints.txt" $pip_args \
    "$source_dir${extras:+[$extras]}"

echo "settings: $root/etc/inspector/line.toml"
install -d -m 0755 "$root/etc/inspector"
[ -e "$root/etc/inspector/line.toml" ] ||
    install -m 0644 "$source_dir/deploy/line.example.toml" "$root/etc/inspector/line.toml"

echo "units: $root/etc/systemd/system"
install -d -m 0755 "$root/etc/systemd/system"
for unit in inspector.service inspector-ejector.service; do
    sed "s#/opt/line-inspector#$prefix#" "$source_dir/systemd/$unit" >"$root/etc/systemd/system/$unit"
    chmod 0644 "$root/etc/systemd/system/$unit"
done

echo "data: $root/var/lib/inspector, $root/var/lib/inspector-ejector"
if [ -n "$root" ]; then
    install -d -m 0750 "$root/var/lib/inspector" "$root/var/lib/inspector-ejector"
    exit 0
fi
getent passwd inspector >/dev/null || useradd --system --home-dir /var/lib/inspector --shell /usr/sbin/nologin inspector
for group in video plugdev; do getent group "$group" >/dev/null || groupadd --system "$group"; done
install -d -m 0750 -o inspector -g inspector /var/lib/inspector /var/lib/inspector-ejector
systemctl daemon-reload
cat <<NEXT
Installed. Next:
  1. edit /etc/inspector/line.toml
  2. teach and calibrate as the user inspector: sudo -u inspector $prefix/bin/inspector train PRODUCT --good DIR
  3. $prefix/bin/inspector doctor --config /etc/inspector/line.toml
  4. systemctl enable --now inspector-ejector inspector
NEXT
