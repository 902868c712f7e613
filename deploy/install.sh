#!/usr/bin/env bash
# Installs line and ejector as systemd services. May be run again at any time: it updates the program and the units, and
# leaves settings and data alone. Nothing is started or restarted: when the belt stands is for people to say.
set -euo pipefail

usage() {
    cat <<USAGE
usage: sudo deploy/install.sh [options]
  --prefix DIR             where the program goes (default /opt/line-inspector)
  --python COMMAND         Python 3.10 to 3.13 (default python3)
  --extras LIST            extras of the package, comma-separated, "" for none (default openvino,page);
                           "openvino,page,train" to teach on this box too
  --system-site-packages   let the program see the box's own packages (Jetson: TensorRT, torch)
  --pip-args ARGS          more arguments for pip install, split at spaces
  --root DIR               to try it: place everything below DIR, without user, owners and systemctl
USAGE
}

fail() {
    echo "error: $1" >&2
    exit "${2:-1}"
}

prefix=/opt/line-inspector python=python3 extras=openvino,page root='' pip_args='' site_packages=no
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix | --python | --extras | --pip-args | --root)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help" 2
            case "$1" in
                --prefix) prefix=$2 ;;
                --python) python=$2 ;;
                --extras) extras=$2 ;;
                --pip-args) pip_args=$2 ;;
                --root) root=$2 ;;
            esac
            shift 2
            ;;
        --system-site-packages) site_packages=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done

# It ends up in units and in the first lines of scripts: no spaces, nothing that sed or systemd would read as its own.
[[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]] || fail "--prefix $prefix: give an absolute path of letters, digits and . _ + -" 2
if [ -n "$root" ]; then
    mkdir -p "$root"
    root=$(cd "$root" && pwd)
elif [ "$(id -u)" != 0 ]; then
    fail "installing services needs root; run: sudo $0"
fi
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root$prefix
etc=$root/etc

echo "program: $venv"
if [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    fail "$venv is in use by something else; empty it, or give another --prefix"
fi
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then # not there, or left broken by an interrupted run
    "$python" -m venv --clear "$venv" || fail "cannot make $venv; on Debian: apt install python3-venv"
fi
if [ $site_packages = yes ] && ! grep -q '^include-system-site-packages = true' "$venv/pyvenv.cfg"; then
    "$python" -m venv --system-site-packages "$venv"
fi
# pip builds inside the folder that it is given, and what an older build left there would be installed with it: give it a
# copy.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -R "$source_dir"/{pyproject.toml,README.md,engines,calibration,inspector} "$stage"
# shellcheck disable=SC2086  # pip's arguments are meant to be split
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$source_dir/constraints.txt" \
    $pip_args "$stage${extras:+[$extras]}"

echo "settings: $etc/inspector/line.toml"
install -d -m 0755 "$etc/inspector"
[ -e "$etc/inspector/line.toml" ] || install -m 0644 "$source_dir/deploy/line.example.toml" "$etc/inspector/line.toml"

echo "units: $etc/systemd/system/inspector.service, inspector-ejector.service, inspector-page.service"
install -d -m 0755 "$etc/systemd/system" "$etc/udev/rules.d"
for unit in inspector.service inspector-ejector.service inspector-page.service; do
    sed "s#/opt/line-inspector/#$prefix/#" "$source_dir/systemd/$unit" >"$stage/$unit"
    install -m 0644 "$stage/$unit" "$etc/systemd/system/$unit"
done
# pypylon brings no udev rule: without one only root may open a Basler USB camera.
echo 'SUBSYSTEM=="usb", ATTR{idVendor}=="2676", MODE="0660", GROUP="plugdev"' >"$stage/rule"
install -m 0644 "$stage/rule" "$etc/udev/rules.d/69-line-inspector.rules"

echo "data: $root/var/lib/inspector, $root/var/lib/inspector-ejector"
if [ -n "$root" ]; then
    install -d -m 0750 "$root/var/lib/inspector" "$root/var/lib/inspector-ejector"
    exit 0
fi
for group in inspector video plugdev; do
    getent group "$group" >/dev/null || groupadd --system "$group"
done
getent passwd inspector >/dev/null ||
    useradd --system --gid inspector --home-dir /var/lib/inspector --no-create-home --shell /usr/sbin/nologin inspector
install -d -m 0750 -o inspector -g inspector /var/lib/inspector /var/lib/inspector-ejector
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    if command -v udevadm >/dev/null; then
        udevadm control --reload && udevadm trigger --subsystem-match=usb
    fi || echo "note: udev did not take the camera rule; plug USB cameras in again" >&2
else
    echo "note: systemd does not run here; the units are in place for when it does" >&2
fi

cat <<NEXT
Installed. Next:
  1. Set product and camera:    editor /etc/inspector/line.toml
  2. Teach and calibrate it, as the program's own user. Teaching needs --extras openvino,page,train here; or do both on another
     box and copy products/ from its data directory to /var/lib/inspector (owner inspector).
       sudo -u inspector $prefix/bin/inspector train PRODUCT --good DIR
       sudo -u inspector $prefix/bin/inspector calibrate PRODUCT --good DIR
  3. Start the ejector:         systemctl enable --now inspector-ejector
  4. See that all is well:      sudo -u inspector $prefix/bin/inspector doctor --config /etc/inspector/line.toml
  5. Start the line:            systemctl enable --now inspector
  6. The operator's page:       sudo -u inspector $prefix/bin/inspector user add NAME --role admin
                                systemctl enable --now inspector-page
After an update, when the belt stands: systemctl restart inspector-ejector inspector inspector-page
NEXT
