#!/bin/sh
# Runs as root while an image of the bento is built, after the packages are installed: every one of them comes as a
# wheel, so that the compilers that BentoML puts in are of no use, and nothing of them need be there to be misused.
set -eu
apt-get purge -q -y --auto-remove build-essential git gnupg2
rm -rf /var/lib/apt/lists/* "$HOME/.cache"
pip uninstall -q -y uv pip
