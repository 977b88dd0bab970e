#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the one static program of sandboxes: build.sh OUTPUT
#
# By cc and not by the package manager, because it links no libc and no Swift runtime.
set -eu
here=$(dirname "$0")
output=${1:?usage: build.sh OUTPUT}
mkdir -p "$(dirname "$output")"
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-parameter \
    -ffreestanding -fno-stack-protector -fno-pie -no-pie -nostdlib -static -Wl,--build-id=none \
    -I "$here/../CChannel/include" -o "$output.new" "$here"/*.c && mv "$output.new" "$output"
