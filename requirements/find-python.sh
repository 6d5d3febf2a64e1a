#!/bin/sh
# Prints a Python that works, is 3.10 to 3.13 and can make a venv; else says in one line what is missing.
# A name on PATH proves nothing (a version manager's shim may point nowhere), so each candidate is run.
fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
found=
for candidate in ${1:-python3.12 python3.13 python3.11 python3.10 python3 python}; do
    "$candidate" -c "$fits" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
    found=${found:-$candidate}
done
if [ -n "$found" ]; then
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$found cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt install python$version-venv)" >&2
elif [ -n "$1" ]; then
    echo "PYTHON=$1 does not work or is not Python 3.10 to 3.13" >&2
else
    echo "no working Python 3.10 to 3.13 on PATH: install one, or name it with PYTHON=/path/to/python" >&2
fi
exit 1
