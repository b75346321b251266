#!/usr/bin/env bash
# Runs once, when Gradescope builds the autograder. The environment is one that every user can read;
# the project, with the solutions, is one that only root can.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin     # a Python that every user can read
cd "$(dirname "$(readlink -f "$0")")"
if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    apt-get update -qq
    apt-get install -y -qq python3 python3-venv
fi
python3 -c 'import sys; sys.exit("Python 3.11 or newer is needed: choose Ubuntu 24.04 as the base image"
            if sys.version_info < (3, 11) else 0)'
python3 -m venv /opt/vitnp-environment
/opt/vitnp-environment/bin/pip install -q $(cat requirements.txt)
chmod -R a+rX /opt/vitnp-environment
chmod 700 .
