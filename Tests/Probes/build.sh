#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the probe program into OUT: one static file that runs in any image, or on the host.
set -eu
out=${1:?usage: build.sh OUT}
here=$(dirname "$0")
exec "${CC:-cc}" -static -O2 -Wall -Wextra -Werror -std=gnu11 -D_GNU_SOURCE -pthread \
    -o "$out" "$here"/*.c
